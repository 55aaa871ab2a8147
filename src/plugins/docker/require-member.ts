import { SpiffeError } from '../../plugin-sdk/index.ts';
import { parseCgroups } from '../container/cgroups.ts';
import { readNamespace, readProcessFile } from '../container/process-files.ts';
import type { ContainerInspect } from './inspect-container.ts';
import type { LocatedContainer } from './locate-container.ts';

/**
 * Makes sure that a process is in the container whose ID its cgroups or its mounts have. A user who may make cgroups can give
 * his own the name of anybody's container, and mount whatever he likes; but the cgroups of the container's first process, which
 * the runtime knows, are not his, nor is its mount namespace.
 *
 * @throws SpiffeError `ATTESTATION_DENIED`
 */
export async function requireMember(
  pid: number,
  located: LocatedContainer,
  { Id: id, State: { Pid: firstPid } }: ContainerInspect,
): Promise<void> {
  if (/^[0-9a-f]{64}$/.test(located.containerId) && located.containerId !== id) {
    throw new SpiffeError(
      'ATTESTATION_DENIED',
      `asked for container ${located.containerId}, its runtime told of ${id}`,
    );
  }
  if (firstPid <= 0) throw new SpiffeError('ATTESTATION_DENIED', `container ${id} does not run`);
  const isMember = located.by === 'cgroups' ? hasSameCgroups : hasSameMounts;
  if (pid === firstPid || (await isMember(pid, located, firstPid))) return;
  const named = `the ${located.by} of process ${pid} name container ${id}`;
  const others = `they are not those of process ${firstPid}, which its runtime says is the container’s first`;
  throw new SpiffeError(
    'ATTESTATION_DENIED',
    `${named}, but ${others}: the agent has to see processes by the same numbers as the runtime`,
  );
}

async function hasSameCgroups(_pid: number, { places }: LocatedContainer, firstPid: number): Promise<boolean> {
  const cgroups = parseCgroups(await readProcessFile(firstPid, 'cgroup'));
  return places.every(({ hierarchy, path }) =>
    cgroups.some((own) => own.hierarchy === hierarchy && (own.path === path || own.path.startsWith(`${path}/`))),
  );
}

async function hasSameMounts(pid: number, _located: LocatedContainer, firstPid: number): Promise<boolean> {
  return (await readNamespace(pid, 'mnt')) === (await readNamespace(firstPid, 'mnt'));
}
