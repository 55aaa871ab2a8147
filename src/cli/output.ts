import { messageOf } from '../spiffe/error.ts';
import { Status } from '../spiffe/status.ts';
import { oneOf } from './flag-kinds.ts';

export const outputFlag = oneOf('How the result is printed', ['pretty', 'json']);

/**
 * A message of the API as SPIRE prints it: protobuf's JSON with the names of the proto files, every field there, keys in
 * order, on one line. A list makes a JSON array.
 *
 * @param plainFields whose values are JSON already
 */
export function formatProtoJson(message: object, plainFields: readonly string[] = []): string {
  return `${JSON.stringify(toJson(message, plainFields))}\n`;
}

function toJson(value: unknown, plainFields: readonly string[]): unknown {
  if (typeof value === 'bigint') return String(value);
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  if (Array.isArray(value)) return value.map((item) => toJson(item, plainFields));
  if (typeof value !== 'object' || value === null) return value;
  const fields = Object.entries(value)
    .filter(([, field]) => field !== undefined)
    .map(([name, field]): readonly [string, unknown] => (isChoice(field) ? [field.$case, field.value] : [name, field]))
    .map(
      ([name, field]) => [toProtoName(name), plainFields.includes(name) ? field : toJson(field, plainFields)] as const,
    )
    .toSorted(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(fields);
}

/** One of several fields, whose name is in the value. */
function isChoice(value: unknown): value is { readonly $case: string; readonly value: unknown } {
  return typeof value === 'object' && value !== null && '$case' in value && typeof value.$case === 'string';
}

/** `x509SvidTtl` → `x509_svid_ttl`; what is no such name, as the key of a map, stays. */
function toProtoName(name: string): string {
  return /^[a-z][A-Za-z0-9]*$/.test(name) ? name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`) : name;
}

/** `2026-01-02 03:04:05 +0000 UTC`, as Go prints a time. */
export function formatTime(time: Date | bigint): string {
  const date = typeof time === 'bigint' ? new Date(Number(time) * 1000) : time;
  if (Number.isNaN(date.getTime())) return 'invalid time';
  return `${date.toISOString().slice(0, 19).replace('T', ' ')} +0000 UTC`;
}

/** `2 agents`, `1 agent`. */
export function formatCount(count: number, one: string, many: string): string {
  return `${count} ${count === 1 ? one : many}`;
}

/** `Entry ID                : 42`, with the name as wide as its neighbours. */
export function formatField(name: string, value: unknown, width: number): string {
  return `${name.padEnd(width)}: ${onOneLine(String(value))}\n`;
}

/** Rows as lines, every column but the last as wide as its widest cell. */
export function formatTable(rows: readonly (readonly string[])[]): readonly string[] {
  const [first = []] = rows;
  const widths = first.slice(0, -1).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}

/** `0-16, 23` */
export function formatIndices(indices: readonly number[]): string {
  const ranges: { readonly first: number; last: number }[] = [];
  for (const index of indices) {
    const range = ranges.at(-1);
    if (range !== undefined && range.last === index - 1) range.last = index;
    else ranges.push({ first: index, last: index });
  }
  return ranges.map(({ first, last }) => (first === last ? `${first}` : `${first}-${last}`)).join(', ');
}

export function formatHex(bytes: Uint8Array = new Uint8Array()): string {
  return Buffer.from(bytes).toString('hex');
}

/** The name of a gRPC status code, as Go prints it. */
export function statusName(code: number): string {
  if (code === Status.Ok) return 'OK';
  if (code === Status.Cancelled) return 'Canceled';
  return Object.entries(Status).find(([, known]) => known === code)?.[0] ?? `Code(${code})`;
}

/** Every mistake of a configuration has its line. */
export function formatFailure(error: unknown): string {
  const message = messageOf(error);
  return message
    .split('\n')
    .map((line) => `Error: ${onOneLine(line)}\n`)
    .join('');
}

/** A selector or an error may come from a plugin: it does not begin lines, and does not speak to the terminal. */
export function onOneLine(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, (character) => {
    const code = character.codePointAt(0)?.toString(16).padStart(4, '0');
    return character === '\n' ? '\\n' : `\\u${code}`;
  });
}
