import { readFile } from 'node:fs/promises';
import { SpiffeError, statFields } from '../../plugin-sdk/index.ts';
import { ProcessFolder } from '../process/process-folder.ts';
import type { ContainerInspect } from './inspect-container.ts';

/** USER_HZ, whatever the kernel's own tick is. @see proc_pid_stat(5), starttime */
const TICKS_A_SECOND = 100;
/** A runtime that has not heard for so long that a process ended hears nothing at all. */
const OLD_SECONDS = 60;
/** Between two looks at clocks. */
const SLACK_SECONDS = 1;

/**
 * Takes hold of the process that the runtime calls the container's first. Runtimes learn a moment late that it has ended, and
 * somebody who waits for that may have its number by then: such a process is younger than the container is.
 *
 * @throws SpiffeError `ATTESTATION_DENIED`, `WORKLOAD_UNREADABLE`
 */
export async function openFirstProcess({ Id: id, State: state }: ContainerInspect): Promise<ProcessFolder> {
  if (state.Pid <= 0) throw new SpiffeError('ATTESTATION_DENIED', `container ${id} does not run`);
  const process = ProcessFolder.open(state.Pid);
  try {
    await requireAge(process, id, Date.parse(state.StartedAt ?? ''));
    return process;
  } catch (error) {
    process[Symbol.dispose]();
    throw error;
  }
}

/** By the clock that goes on only; the time of day, which may be set, counts for what is young. */
async function requireAge(process: ProcessFolder, id: string, startedAt: number): Promise<void> {
  const ageSeconds = (await secondsSinceBoot()) - startSeconds(process.read('stat'));
  const containerSeconds = (Date.now() - startedAt) / 1000;
  if (ageSeconds >= OLD_SECONDS || ageSeconds + SLACK_SECONDS >= containerSeconds) return;
  const since = Number.isFinite(containerSeconds)
    ? `${Math.round(containerSeconds)} s ago`
    : 'at no time that can be read';
  const ages = `process ${process.pid} began ${Math.max(0, Math.round(ageSeconds))} s ago, and the container, by its runtime, ${since}`;
  throw new SpiffeError(
    'ATTESTATION_DENIED',
    `the first process of container ${id} has ended, and another has its number: ${ages}; where the clock of this machine was set just now, try again in a minute`,
  );
}

/** The kernel's answer, unless a file system such as lxcfs lies over it: then what this process knows of itself. */
async function secondsSinceBoot(): Promise<number> {
  const [uptime, own] = await Promise.all(['/proc/uptime', '/proc/self/stat'].map((path) => readFile(path, 'latin1')));
  return Math.max(Number.parseFloat(uptime ?? ''), startSeconds(own ?? '') + process.uptime());
}

function startSeconds(stat: string): number {
  const [ticks] = statFields(stat, 22);
  const seconds = Number(ticks) / TICKS_A_SECOND;
  if (Number.isFinite(seconds)) return seconds;
  throw new SpiffeError('WORKLOAD_UNREADABLE', 'a process’s stat does not say when it began');
}
