import { type Logger as ApiLogger, LogLevel } from '../gen/spire/api/types/types.ts';
import { LOG_LEVELS } from '../log/logger.ts';
import { SpiffeError } from '../spiffe/error.ts';
import { quoteText } from '../spiffe/quote-text.ts';
import type { AdminContext } from './admin-channel.ts';
import { text } from './flag-kinds.ts';

/** As the API has them, by the names of the log. */
const API_LEVELS: ReadonlyMap<string, LogLevel> = new Map([
  ['panic', LogLevel.PANIC],
  ['fatal', LogLevel.FATAL],
  ['error', LogLevel.ERROR],
  ['warning', LogLevel.WARN],
  ['info', LogLevel.INFO],
  ['debug', LogLevel.DEBUG],
  ['trace', LogLevel.TRACE],
]);

export const levelFlag = text(`The new level: ${LOG_LEVELS.join(', ')}`, 'LEVEL');

/** @param given in upper or lower case; `warn` is `warning` */
export function readLevel(given: string): LogLevel {
  const name = given.toLowerCase();
  const level = API_LEVELS.get(name === 'warn' ? 'warning' : name);
  if (level !== undefined) return level;
  const problem = given === '' ? 'give the new -level' : `-level: ${quoteText(given)} is no level`;
  throw new SpiffeError('ARGUMENT_INVALID', `${problem}, one of ${LOG_LEVELS.join(', ')}`);
}

/** Prints the answer of every call of `Logger`. */
export function showLogger({ currentLevel, launchLevel }: ApiLogger, { show, terminal }: AdminContext): void {
  show({ currentLevel: apiName(currentLevel), launchLevel: apiName(launchLevel) }, () =>
    terminal.print(`Logger Level : ${logName(currentLevel)}\nLaunch Level : ${logName(launchLevel)}\n\n`),
  );
}

const apiName = (level: LogLevel): string =>
  Object.entries(LogLevel).find(([, known]) => known === level)?.[0] ?? 'UNRECOGNIZED';

const logName = (level: LogLevel): string =>
  [...API_LEVELS].find(([, known]) => known === level)?.[0] ?? `unknown (${level})`;
