const NANOSECONDS: ReadonlyMap<string, number> = new Map([
  ['ns', 1],
  ['us', 1e3],
  ['µs', 1e3],
  ['μs', 1e3],
  ['ms', 1e6],
  ['s', 1e9],
  ['m', 60e9],
  ['h', 3600e9],
]);
/** Escaped: one character beyond Latin-1 in a program's text makes V8 keep all of it in two bytes each. */
const PART = /(\d+\.?\d*|\.\d+)(ns|us|\u00b5s|\u03bcs|ms|s|m|h)/y;
/** The largest duration of a Go program, about 292 years, in milliseconds. */
const MAX_MS = 2 ** 63 / 1e6;

/**
 * Reads a duration in Go's notation: `90s`, `1h30m`, `500ms`, `1.5h`, `-2s`, `0`.
 *
 * @returns milliseconds, maybe a fraction; undefined where it is none
 */
export function findDurationMs(text: string): number | undefined {
  const sign = text.startsWith('-') ? -1 : 1;
  const parts = text.replace(/^[+-]/, '');
  if (parts === '0') return 0;
  let nanoseconds = 0;
  let end = 0;
  PART.lastIndex = 0;
  for (let part = PART.exec(parts); part; part = PART.exec(parts)) {
    nanoseconds += Number(part[1]) * (NANOSECONDS.get(part[2] ?? '') ?? Number.NaN);
    end = PART.lastIndex;
  }
  if (end === 0 || end !== parts.length || nanoseconds / 1e6 > MAX_MS) return undefined;
  return (sign * nanoseconds) / 1e6;
}

/** `5400` → `1h30m`; whole seconds, in the notation that {@link findDurationMs} reads. */
export function formatDurationSeconds(seconds: number): string {
  const whole = Math.trunc(seconds);
  const hours = Math.trunc(whole / 3600);
  const minutes = Math.trunc((whole % 3600) / 60);
  const rest = whole % 60;
  const text = [hours && `${hours}h`, minutes && `${minutes}m`, rest && `${rest}s`].filter(Boolean).join('');
  return text || '0s';
}
