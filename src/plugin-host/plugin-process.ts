import { type ChildProcess, type ChildProcessByStdio, spawn } from 'node:child_process';
import { access, constants, stat } from 'node:fs/promises';
import { Readable } from 'node:stream';
import type { Logger } from '../log/logger.ts';
import { type Handshake, parseHandshake } from '../rpc/handshake.ts';
import { messageOf, SpiffeError } from '../spiffe/error.ts';
import { quoteText } from '../spiffe/quote-text.ts';
import { cleanUpOnExit } from './exit-cleanup.ts';
import { readFirstLine } from './handshake-reader.ts';
import { describeExit, explainByExit, type PluginCarrier, type PluginExit } from './plugin-carrier.ts';
import type { PluginConnection } from './plugin-connection.ts';
import { PluginLog } from './plugin-log.ts';
import { ProcessTree } from './process-tree.ts';
import { readLaunchReport } from './sandbox/launch-report.ts';

export interface PluginProcessOptions {
  /** Absolute path of the executable; no shell and no search path is involved. */
  readonly command: string;
  readonly args: readonly string[];
  /** What is run instead of the command, under whose name. */
  readonly executable?: string | undefined;
  /** Confines itself, then becomes the command; absent, the command is started by itself. */
  readonly launcher?: { readonly command: string; readonly args: readonly string[] } | undefined;
  /** What the launcher confines it by, for people. */
  readonly sandbox?: readonly string[];
  /** As its package says, for people. */
  readonly version?: string | undefined;
  /** Takes what the launcher writes down of what the plugin does; absent, nobody looks. */
  readonly onSightings?: ((lines: Readable) => void) | undefined;
  /** All that the plugin finds in its environment. */
  readonly environment: Readonly<Record<string, string>>;
  readonly handshakeDeadlineMs: number;
  /** How long disposal waits for the process to end by itself. */
  readonly graceMs: number;
  readonly log: Logger;
  /** Told what it writes to stderr, as it comes; the log gets it besides. */
  readonly onStderr?: (chunk: Uint8Array) => void;
  readonly signal?: AbortSignal | undefined;
}

type ProcessExit = Extract<PluginExit, { status: unknown }>;

/** Where the launcher says what became of it. */
const REPORT_DESCRIPTOR = 3;
/** Where it writes what it saw. */
const SIGHTINGS_DESCRIPTOR = 4;
/** How long output that was written before the end may take to arrive. */
const LAST_OUTPUT_MS = 500;

/**
 * A plugin's process that has said its handshake. It leads a process group of its own, so that a terminal's Ctrl-C
 * reaches the host alone. Disposing waits for its end, then insists.
 */
export class PluginProcess implements PluginCarrier, AsyncDisposable {
  readonly pid: number;
  readonly handshake: Handshake;
  readonly exited: Promise<ProcessExit>;
  readonly sandbox: readonly string[];
  readonly version: string | undefined;
  readonly #tree: ProcessTree;
  readonly #graceMs: number;
  readonly #pluginLog: PluginLog;
  #exit: ProcessExit | undefined;

  private constructor(parts: {
    readonly pid: number;
    readonly tree: ProcessTree;
    readonly handshake: Handshake;
    readonly exited: Promise<ProcessExit>;
    readonly graceMs: number;
    readonly sandbox: readonly string[];
    readonly version: string | undefined;
    readonly pluginLog: PluginLog;
  }) {
    this.pid = parts.pid;
    this.sandbox = parts.sandbox;
    this.version = parts.version;
    this.#tree = parts.tree;
    this.handshake = parts.handshake;
    this.exited = parts.exited;
    this.#graceMs = parts.graceMs;
    this.#pluginLog = parts.pluginLog;
    void parts.exited.then((exit) => {
      this.#exit = exit;
    });
  }

  /**
   * @throws SpiffeError `PLUGIN_NOT_LOADED` or `PLUGIN_PROTOCOL`, with the last words on stderr; LaunchFailure. Nothing is
   *   left running.
   */
  static async start(options: PluginProcessOptions): Promise<PluginProcess> {
    await requireExecutable(options.command);
    const started = performance.now();
    const child = await spawnPlugin(options);
    const tree = new ProcessTree(child, options.launcher !== undefined);
    const noOrphan = cleanUpOnExit(() => tree.end());
    const pluginLog = new PluginLog(options.log);
    pluginLog.attach(child.stderr);
    // Node lets go of what a process has said that ends before anybody listens.
    const firstLine = readFirstLine(child.stdout);
    firstLine.catch(() => {}); // whoever waits for the handshake is told
    const sightings = child.stdio[SIGHTINGS_DESCRIPTOR];
    if (sightings instanceof Readable) options.onSightings?.(sightings);
    const { onStderr } = options;
    if (onStderr !== undefined) child.stderr.on('data', (chunk: Buffer) => onStderr(chunk));
    const outputEnded = new Promise<void>((resolve) => child.once('close', () => resolve()));
    const exited = new Promise<ProcessExit>((resolve) => {
      child.once('exit', (status, signal) => {
        noOrphan[Symbol.dispose]();
        resolve({ status, signal });
      });
    });
    try {
      const report = child.stdio[REPORT_DESCRIPTOR];
      const pid = (report instanceof Readable ? await launched(report, options) : undefined) ?? child.pid;
      tree.pluginPid = pid;
      const line = await waitForHandshake(firstLine, exited, outputEnded, options);
      const handshake = parseHandshake(line);
      options.log.debug('plugin said its handshake', { pid, after_ms: Math.round(performance.now() - started) });
      const { graceMs, sandbox = [], version } = options;
      return new PluginProcess({ pid, tree, handshake, exited, graceMs, sandbox, version, pluginLog });
    } catch (error) {
      tree.end();
      await exited;
      await Promise.race([outputEnded, wait(LAST_OUTPUT_MS)]);
      throw withLastWords(error, pluginLog.lastLines);
    }
  }

  get exit(): ProcessExit | undefined {
    return this.#exit;
  }

  async explain(error: unknown): Promise<unknown> {
    return await explainByExit(this, error);
  }

  get lastLines(): readonly string[] {
    return this.#pluginLog.lastLines;
  }

  kill(): void {
    if (this.#exit === undefined) this.#tree.end();
  }

  async end(connection: PluginConnection): Promise<void> {
    await Promise.all([connection.shutdown(this.#graceMs), this[Symbol.asyncDispose]()]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#exit !== undefined) return;
    const insist = setTimeout(() => this.#tree.end(), this.#graceMs);
    await this.exited;
    clearTimeout(insist);
  }
}

type PluginChild = ChildProcessByStdio<null, Readable, Readable> & { readonly pid: number };

async function spawnPlugin(options: PluginProcessOptions): Promise<PluginChild> {
  const { launcher, command, args, executable = command, onSightings } = options;
  const isObserved = launcher !== undefined && onSightings !== undefined;
  const observe = isObserved ? ['--observe'] : [];
  const parent = ['--parent', String(process.pid)];
  const own = ['--report', String(REPORT_DESCRIPTOR), ...parent, '--executable', executable, ...observe];
  const pipes = launcher === undefined ? [] : isObserved ? (['pipe', 'pipe'] as const) : (['pipe'] as const);
  const child = spawn(
    launcher?.command ?? executable,
    launcher ? [...own, ...launcher.args, '--', command, ...args] : args,
    {
      ...(launcher === undefined ? { argv0: command } : {}),
      env: options.environment,
      stdio: ['ignore', 'pipe', 'pipe', ...pipes],
      shell: false,
      detached: true,
    },
  );
  try {
    await new Promise((resolve, reject) => {
      child.once('spawn', resolve);
      child.once('error', reject);
    });
  } catch (cause) {
    throw new SpiffeError('PLUGIN_NOT_LOADED', `cannot start ${quoteText(options.command)}: ${messageOf(cause)}`, {
      cause,
    });
  }
  child.on('error', () => {}); // a signal that could not be sent: `exited` tells what matters
  if (!isPlugin(child))
    throw new SpiffeError('INTERNAL', `${quoteText(options.command)} was started without a process ID`);
  return child;
}

function isPlugin(child: ChildProcess): child is PluginChild {
  return child.pid !== undefined && child.stdin === null && child.stdout !== null && child.stderr !== null;
}

/** A folder that is shown to the plugin may be one of a file server that does not answer. */
async function launched(
  report: Readable,
  { handshakeDeadlineMs, signal }: PluginProcessOptions,
): Promise<number | undefined> {
  using limits = new DisposableStack();
  return await Promise.race([
    readLaunchReport(report),
    rejectAfter(handshakeDeadlineMs, 'its sandbox was not ready', limits),
    rejectOnAbort(signal, limits),
  ]);
}

async function waitForHandshake(
  firstLine: Promise<string | undefined>,
  exited: Promise<ProcessExit>,
  outputEnded: Promise<void>,
  { handshakeDeadlineMs, signal }: PluginProcessOptions,
): Promise<string> {
  using limits = new DisposableStack();
  const ended = exited.then(async (exit) => {
    await Promise.race([outputEnded, wait(LAST_OUTPUT_MS)]);
    // On a busy machine the time may be over before what has arrived was looked at.
    await new Promise((resolve) => setImmediate(resolve));
    throw new SpiffeError('PLUGIN_NOT_LOADED', `it ${describeExit(exit)} before its handshake`);
  });
  return await Promise.race([
    firstLine.then((text) => text ?? ended), // closing stdout alone is no answer: wait for more
    ended,
    rejectAfter(handshakeDeadlineMs, 'it wrote no handshake on stdout', limits),
    rejectOnAbort(signal, limits),
  ]);
}

function rejectAfter(deadlineMs: number, what: string, limits: DisposableStack): Promise<never> {
  return new Promise((_, reject) => {
    const message = `${what} within ${deadlineMs / 1_000} s`;
    const timer = setTimeout(() => reject(new SpiffeError('PLUGIN_NOT_LOADED', message)), deadlineMs);
    limits.defer(() => clearTimeout(timer));
  });
}

function rejectOnAbort(signal: AbortSignal | undefined, limits: DisposableStack): Promise<never> {
  return new Promise((_, reject) => {
    if (signal === undefined) return;
    const abort = () => reject(new SpiffeError('CANCELLED', 'its start was cancelled', { cause: signal.reason }));
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
    limits.defer(() => signal.removeEventListener('abort', abort));
  });
}

/** Plain words before the kernel's, for the mistakes that are made. */
async function requireExecutable(command: string): Promise<void> {
  try {
    if ((await stat(command)).isDirectory()) {
      throw new SpiffeError('PLUGIN_NOT_LOADED', `${quoteText(command)} is a folder, not an executable file`);
    }
    await access(command, constants.X_OK);
  } catch (cause) {
    if (cause instanceof SpiffeError) throw cause;
    throw new SpiffeError(
      'PLUGIN_NOT_LOADED',
      `cannot run ${quoteText(command)}: ${messageOf(cause)}; check the path in plugin_cmd and that the file is executable`,
      { cause },
    );
  }
}

/** `error` with the plugin's own last words, which often say why. */
export function withLastWords(error: unknown, lines: readonly string[]): unknown {
  if (!(error instanceof SpiffeError) || error.code === 'CANCELLED') return error;
  const words = lines.length === 0 ? 'it wrote nothing to stderr' : `its last words on stderr: ${lines.join(', ')}`;
  return new SpiffeError(error.code, `${error.message}; ${words}`, { cause: error });
}

function wait(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds).unref());
}
