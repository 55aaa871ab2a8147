import { type ChildProcess, spawn } from 'node:child_process';
import { Readable } from 'node:stream';
import { ProcessTree } from '../../../plugin-host/process-tree.ts';
import { allVariables } from '../../../plugin-host/sandbox/environment.ts';
import { SocketFolder } from '../../../plugin-host/socket-folder.ts';
import { PLUGIN_ENVIRONMENT } from '../../../rpc/go-plugin.ts';
import { parseHandshake } from '../../../rpc/handshake.ts';
import { findSupervisor } from '../../trial/supervised.ts';
import type { SubjectOptions } from '../subject.ts';

/** What a process did that is expected to refuse its environment. */
export interface BareRun {
  /** Absent, it was still running and had to be killed. */
  readonly status?: number;
  readonly firstLine: string;
}

const DEADLINE_MS = 10_000;
const MAX_OUTPUT_BYTES = 64 * 1024;

/** Runs the plugin as nobody who is a host would, until it ends or has said something on stdout. */
export async function runBare(
  { command, args }: Pick<SubjectOptions, 'command' | 'args'>,
  environment: Readonly<Record<string, string>>,
): Promise<BareRun> {
  await using folder = await SocketFolder.create();
  const places = { [PLUGIN_ENVIRONMENT.socketFolder]: folder.pluginPath, TMPDIR: folder.pluginPath };
  const env = { ...allVariables(), ...places, ...environment };
  const supervisor = findSupervisor();
  const own = ['--report', '3', '--parent', String(process.pid), '--', command];
  const child =
    supervisor === undefined
      ? spawn(command, args, { env, stdio: ['ignore', 'pipe', 'ignore'], detached: true })
      : spawn(supervisor, [...own, ...args], { env, stdio: ['ignore', 'pipe', 'ignore', 'pipe'], detached: true });
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (status) => resolve(status));
  });
  const output = readLine(child.stdout);
  const report = child.stdio[3];
  if (report instanceof Readable) report.resume();
  const tree = isStarted(child) ? new ProcessTree(child, supervisor !== undefined) : undefined;
  const timer = setTimeout(() => tree?.end(), DEADLINE_MS);
  try {
    const spoken = output.line.then((line) => (isHandshake(line) ? null : ended)); // it is not waited for then
    const status = await Promise.race([ended, spoken]);
    const firstLine = output.text();
    return typeof status === 'number' ? { status, firstLine } : { firstLine };
  } finally {
    clearTimeout(timer);
    tree?.end();
    await ended.catch(() => {});
  }
}

/** Whether a host would take the line for one. */
export function isHandshake(line: string): boolean {
  try {
    parseHandshake(line);
    return true;
  } catch {
    return false;
  }
}

function readLine(stdout: Readable | null): { readonly line: Promise<string>; text(): string } {
  let text = '';
  const line = new Promise<string>((resolve) => {
    stdout?.setEncoding('utf8').on('data', (chunk: string) => {
      if (text.length < MAX_OUTPUT_BYTES) text += chunk;
      if (text.includes('\n')) resolve(text.split('\n')[0] ?? '');
    });
    stdout?.once('end', () => resolve(text));
  });
  return { line, text: () => text.split('\n')[0] ?? '' };
}

function isStarted(child: ChildProcess): child is ChildProcess & { readonly pid: number } {
  return child.pid !== undefined;
}
