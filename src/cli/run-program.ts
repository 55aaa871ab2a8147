import { constants } from 'node:os';
import type { LogConfig } from '../config/log-config.ts';
import type { Logger } from '../log/logger.ts';
import { isSpiffeError, messageOf } from '../spiffe/error.ts';
import { openLog } from './log-output.ts';

export interface ProgramOptions {
  readonly config: { readonly log: LogConfig; readonly warnings: readonly string[] };
  /** Where the program starts others that are not its own. */
  readonly keepsUmask?: boolean;
  start(log: Logger, signal: AbortSignal): Promise<RunningProgram>;
}

export interface RunningProgram extends AsyncDisposable {
  /** Rejected where the program cannot go on by itself; fulfilled where its work is done. */
  readonly ended?: Promise<void>;
  /** At SIGUSR1; absent where there are no plugins. */
  reloadChangedPlugins?(): Promise<void>;
}

/** From the signal; whoever starts programs often kills them ten seconds after it. */
const STOP_WITHIN_MS = 9_500;

/** No writing by the group, nothing for everybody else. */
const UMASK = 0o027;

/**
 * Runs the server or the agent until SIGTERM or SIGINT, then stops it in order. SIGUSR1 reloads the plugins that have
 * changed, SIGUSR2 opens the log file again.
 *
 * @throws what the program could not start or go on for; nothing is left of it then
 */
export async function runProgram({ config, keepsUmask = false, start }: ProgramOptions): Promise<void> {
  using output = openLog(config.log);
  const { log } = output;
  if (!keepsUmask) tightenUmask(log);
  for (const warning of config.warnings) log.warning(warning);
  const stop = new AbortController();
  const end = (signal: 'SIGTERM' | 'SIGINT') => {
    if (stop.signal.aborted) process.exit(128 + constants.signals[signal]); // whoever asks twice means now
    stop.abort();
    // Also for what keeps the process once the program has stopped; it keeps none itself.
    setTimeout(() => {
      log.error('what has not ended in time is ended at once', { seconds: STOP_WITHIN_MS / 1_000 });
      process.exit(); // with the exit code of a failure, if there was one
    }, STOP_WITHIN_MS).unref();
  };
  const stopped = new Promise<void>((resolve) => stop.signal.addEventListener('abort', () => resolve()));
  // Also while it starts and while it stops: a signal by default would leave plugins and sockets behind.
  process.on('SIGTERM', end);
  process.on('SIGINT', end);
  process.on('SIGUSR2', () => output.reopen());
  let reload = () => log.info('plugins are not reloaded: the program is starting or stopping');
  process.on('SIGUSR1', () => reload());
  try {
    await using program = await start(log, stop.signal);
    const whileStarting = reload;
    reload = () => void program.reloadChangedPlugins?.();
    await Promise.race([stopped, ...(program.ended === undefined ? [] : [program.ended])]);
    reload = whileStarting;
    log.info('stopping');
  } catch (error) {
    if (stop.signal.aborted && isSpiffeError(error, 'CANCELLED')) return;
    if (config.log.file !== undefined) log.error(messageOf(error));
    throw error;
  }
  log.info('stopped');
}

function tightenUmask(log: Logger): void {
  const before = process.umask();
  if ((before & UMASK) === UMASK) return;
  process.umask(before | UMASK);
  log.debug('umask was tightened', { before: octal(before), now: octal(before | UMASK) });
}

function octal(mode: number): string {
  return `0${mode.toString(8).padStart(3, '0')}`;
}
