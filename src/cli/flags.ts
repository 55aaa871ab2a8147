import { findNearest } from '../config/suggest.ts';
import { SpiffeError } from '../spiffe/error.ts';

/** One flag of a command, written `-name value`, `-name=value`, or with two dashes. */
export interface Flag<Value> {
  readonly summary: string;
  /** What stands for the value in the usage, such as `SECONDS`; absent for a switch, which may stand alone. */
  readonly valueName?: string;
  readonly initial: Value;
  /** `initial` as a user writes it; absent, it is written as it is. */
  readonly initialText?: string;
  /**
   * @param previous of the same flag given before, or `initial`
   * @throws SpiffeError `ARGUMENT_INVALID`, without the flag's name
   */
  read(text: string, previous: Value): Value;
}

export type Flags = Readonly<Record<string, Flag<unknown>>>;
export type FlagValues<F extends Flags> = {
  readonly [Name in keyof F]: F[Name] extends Flag<infer Value> ? Value : never;
};

export interface ParsedFlags<F extends Flags> {
  readonly values: FlagValues<F>;
  /** `-h` or `-help` was among them; what follows it was not looked at. */
  readonly helpWanted: boolean;
  /** What follows the flags, where that was allowed. */
  readonly operands: readonly string[];
}

const NAME = /^--?([^-=][^=]*)(?:=([\s\S]*))?$/;

/**
 * Reads flags as Go's package `flag` does; words that are neither flags nor values are refused, not passed over.
 *
 * @param operandsAt where operands may be: `end` makes one of the first such word and of all that follows it, `anywhere` of
 *   each such word, with flags before it and behind.
 * @throws SpiffeError `ARGUMENT_INVALID`
 */
export function parseFlags<F extends Flags>(
  flags: F,
  args: readonly string[],
  operandsAt: 'nowhere' | 'end' | 'anywhere' = 'nowhere',
): ParsedFlags<F> {
  const values = new Map<string, unknown>(Object.entries(flags).map(([name, { initial }]) => [name, initial]));
  const found: string[] = [];
  const parsed = (helpWanted: boolean, operands: readonly string[] = []) => ({
    values: Object.fromEntries(values) as FlagValues<F>,
    helpWanted,
    operands: [...found, ...operands],
  });
  const rest = [...args];
  for (let arg = rest.shift(); arg !== undefined; arg = rest.shift()) {
    if (arg === '--') break;
    if (!arg.startsWith('-') || arg === '-') {
      if (operandsAt === 'nowhere') throw unexpected(arg);
      if (operandsAt === 'end') return parsed(false, [arg, ...rest]);
      found.push(arg);
      continue;
    }
    const [, name, attached] = NAME.exec(arg) ?? [];
    if (name === undefined) throw invalid(`${JSON.stringify(arg)} is no flag: write -name or -name=value`);
    const flag = Object.hasOwn(flags, name) ? flags[name] : undefined;
    if (flag === undefined) {
      if (name === 'h' || name === 'help') return parsed(true);
      throw invalid(describeUnknown(name, Object.keys(flags)));
    }
    const text = attached ?? (flag.valueName === undefined ? 'true' : rest.shift());
    if (text === undefined) throw invalid(`flag -${name} needs a value: -${name} ${flag.valueName}`);
    values.set(name, read(name, flag, text, values.get(name)));
  }
  if (operandsAt !== 'nowhere') return parsed(false, rest);
  const [first] = rest;
  if (first !== undefined) throw unexpected(first);
  return parsed(false);
}

function read(name: string, flag: Flag<unknown>, text: string, previous: unknown): unknown {
  try {
    return flag.read(text, previous);
  } catch (cause) {
    if (!(cause instanceof SpiffeError)) throw cause;
    throw new SpiffeError(cause.code, `-${name}: ${cause.message}`, { cause });
  }
}

function describeUnknown(name: string, known: readonly string[]): string {
  const nearest = findNearest(name, known);
  if (nearest !== undefined) return `flag -${name} is not known, did you mean -${nearest}?`;
  return `flag -${name} is not known: -h lists those that are`;
}

function unexpected(arg: string): SpiffeError {
  return invalid(`${JSON.stringify(arg)} is not expected here: a value follows its flag, a switch takes -name=false`);
}

function invalid(message: string): SpiffeError {
  return new SpiffeError('ARGUMENT_INVALID', message);
}
