import { spawn } from 'node:child_process';
import type { Readable } from 'node:stream';
import { allVariables } from '../../../plugin-host/sandbox/environment.ts';
import { SocketFolder } from '../../../plugin-host/socket-folder.ts';
import { PLUGIN_ENVIRONMENT } from '../../../rpc/go-plugin.ts';
import { parseHandshake } from '../../../rpc/handshake.ts';
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
  { command, args }: SubjectOptions,
  environment: Readonly<Record<string, string>>,
): Promise<BareRun> {
  await using folder = await SocketFolder.create();
  const places = { [PLUGIN_ENVIRONMENT.socketFolder]: folder.pluginPath, TMPDIR: folder.pluginPath };
  const child = spawn(command, args, {
    env: { ...allVariables(), ...places, ...environment },
    stdio: ['ignore', 'pipe', 'ignore'],
    detached: true,
  });
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (status) => resolve(status));
  });
  const output = readLine(child.stdout);
  const timer = setTimeout(() => endGroup(child.pid), DEADLINE_MS);
  try {
    const spoken = output.line.then((line) => (isHandshake(line) ? null : ended)); // it is not waited for then
    const status = await Promise.race([ended, spoken]);
    const firstLine = output.text();
    return typeof status === 'number' ? { status, firstLine } : { firstLine };
  } finally {
    clearTimeout(timer);
    endGroup(child.pid);
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

function readLine(stdout: Readable): { readonly line: Promise<string>; text(): string } {
  let text = '';
  const line = new Promise<string>((resolve) => {
    stdout.setEncoding('utf8').on('data', (chunk: string) => {
      if (text.length < MAX_OUTPUT_BYTES) text += chunk;
      if (text.includes('\n')) resolve(text.split('\n')[0] ?? '');
    });
    stdout.once('end', () => resolve(text));
  });
  return { line, text: () => text.split('\n')[0] ?? '' };
}

function endGroup(pid: number | undefined): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL');
  } catch {
    // nobody is left in the group
  }
}
