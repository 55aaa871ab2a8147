import { findDurationMs, formatDurationSeconds } from '../config/duration.ts';
import { SpiffeError } from '../spiffe/error.ts';
import type { Flag } from './flags.ts';

/** Spellings of Go's strconv.ParseBool. */
const BOOLEANS: ReadonlyMap<string, boolean> = new Map([
  ...['1', 't', 'T', 'true', 'TRUE', 'True'].map((text) => [text, true] as const),
  ...['0', 'f', 'F', 'false', 'FALSE', 'False'].map((text) => [text, false] as const),
]);
const MAX_INT32 = 2 ** 31 - 1;

export function text(summary: string, valueName = 'TEXT', initial = ''): Flag<string> {
  return { summary, valueName, initial, read: (given) => given };
}

/** May be given more than once. */
export function texts(summary: string, valueName = 'TEXT'): Flag<readonly string[]> {
  return {
    summary: `${summary}; may be repeated`,
    valueName,
    initial: [],
    read: (given, before) => [...before, given],
  };
}

/** Values with commas between them; the last one given counts. */
export function commaSeparated(summary: string, valueName: string): Flag<readonly string[]> {
  return { summary, valueName, initial: [], read: (given) => given.split(',') };
}

export function toggle(summary: string): Flag<boolean> {
  return { summary, initial: false, read: readBoolean };
}

/** Undefined unless given. */
export function optionalToggle(summary: string): Flag<boolean | undefined> {
  return { summary, initial: undefined, read: readBoolean };
}

/** `true` or `false` as a word of its own; any other word means both. */
export function trueOrFalse(summary: string): Flag<boolean | undefined> {
  const read = (given: string) => (given === 'true' ? true : given === 'false' ? false : undefined);
  return { summary, valueName: 'true|false', initial: undefined, read };
}

/** A whole number; in decimal or, with 0x, in hexadecimal digits. */
export function wholeNumber(summary: string, valueName: string, initial = 0, max = MAX_INT32): Flag<number> {
  return {
    summary,
    valueName,
    initial,
    read: (given) => {
      if (!/^\+?(?:0|[1-9]\d*|0[xX][0-9a-fA-F]+)$/.test(given)) {
        throw invalid(`${JSON.stringify(given)} is no whole number of 0 or more`);
      }
      const value = Number(given.replace('+', ''));
      if (value > max) throw invalid(`${given} is too large: ${max} at most`);
      return value;
    },
  };
}

/** Whole seconds, rounded up as SPIRE does. */
export function durationSeconds(summary: string, initialSeconds = 0): Flag<number> {
  return {
    summary,
    valueName: 'DURATION',
    initial: initialSeconds,
    initialText: formatDurationSeconds(initialSeconds),
    read: (given) => Math.ceil(readDurationMs(given) / 1000),
  };
}

/** 0 stands for no limit. */
export function timeoutMs(summary: string, initialMs: number): Flag<number> {
  const initialText = formatDurationSeconds(initialMs / 1000);
  return { summary, valueName: 'DURATION', initial: initialMs, initialText, read: readDurationMs };
}

/** @param allowed the first one is the default */
export function oneOf<const Words extends readonly [string, ...string[]]>(
  summary: string,
  allowed: Words,
): Flag<Words[number]> {
  const valueName = allowed.join('|');
  return {
    summary,
    valueName,
    initial: allowed[0],
    read: (given) => {
      const found = allowed.find((word) => word === given.toLowerCase());
      if (found === undefined) throw invalid(`${JSON.stringify(given)} is none of ${allowed.join(', ')}`);
      return found;
    },
  };
}

function readBoolean(given: string): boolean {
  const value = BOOLEANS.get(given);
  if (value === undefined) throw invalid(`${JSON.stringify(given)} is neither true nor false`);
  return value;
}

function readDurationMs(given: string): number {
  const milliseconds = findDurationMs(given);
  if (milliseconds === undefined) {
    throw invalid(`${JSON.stringify(given)} is no duration: give a number and a unit, such as "5m" or "1h30m"`);
  }
  if (milliseconds < 0) throw invalid(`${given} is negative`);
  return milliseconds;
}

function invalid(message: string): SpiffeError {
  return new SpiffeError('ARGUMENT_INVALID', message);
}
