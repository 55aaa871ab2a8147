import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { findBuilt } from '../../src/addon/find-built.ts';
import { type Observation, readObservation, type Sighting } from '../../src/plugin-host/sandbox/sightings.ts';

export const LAUNCHER = findBuilt('sandbox') ?? 'the launcher is not built';
const SOURCE = fileURLToPath(new URL('./watched-calls.c', import.meta.url));

/** Compiles the program that makes the system calls that its arguments name. */
export function buildWatchedCalls(output: string): string {
  execFileSync('cc', ['-Wall', '-Wextra', '-Werror', '-pthread', SOURCE, '-o', output], { stdio: 'pipe' });
  return output;
}

export interface WatchedRun {
  readonly pid: number;
  /** The first line that it prints. */
  readonly line: Promise<string>;
  /** All that it prints; whoever waits for this is not to wait for the line. */
  readonly output: Promise<string>;
  /** Status or signal. */
  readonly exit: Promise<number | string | null>;
  /** Nobody reads the lines before it is asked for. */
  readonly observation: Promise<Observation>;
  /** What the launcher said before it became the program. */
  readonly report: Promise<string>;
  kill(signal?: NodeJS.Signals): void;
}

/** Starts a program that is watched, as the host of plugins does. */
export function watch(
  command: readonly string[],
  options: { readonly cwd: string; readonly userId?: number },
): WatchedRun {
  const args = ['--report', '3', '--parent', String(process.pid), '--observe', '--no-new-privileges', '--', ...command];
  const user = options.userId === undefined ? {} : { uid: options.userId, gid: options.userId };
  const child = spawn(LAUNCHER, args, {
    ...user,
    cwd: options.cwd,
    detached: true,
    stdio: ['ignore', 'pipe', 'inherit', 'pipe', 'pipe'],
  });
  const [, stdout, , report, sightings] = child.stdio;
  if (!(stdout instanceof Readable) || !(report instanceof Readable) || !(sightings instanceof Readable))
    throw new Error('no pipes');
  const lines = createInterface(stdout);
  let observation: Promise<Observation> | undefined;
  let text = '';
  lines.on('line', (line) => {
    text += `${line}\n`;
  });
  return {
    pid: child.pid ?? 0,
    line: new Promise((resolve) => lines.once('line', resolve)),
    output: once(lines, 'close').then(() => text),
    exit: once(child, 'exit').then(([status, signal]) => signal ?? status),
    get observation() {
      observation ??= readObservation(sightings);
      return observation;
    },
    report: report.toArray().then((chunks) => Buffer.concat(chunks).toString()),
    kill: (signal = 'SIGKILL') => void (child.pid && process.kill(-child.pid, signal)),
  };
}

/** Sightings as short sentences, without those of a program's own start. */
export function sentences({ sightings }: Observation): readonly string[] {
  return sightings.map(toSentence).filter((text) => !/ (?:\/etc\/ld\.so|\/lib|\/usr\/lib)/.test(text));
}

function toSentence(sighting: Sighting): string {
  return Object.values(sighting).join(' ');
}
