import type { LogFields, LogRecord } from './logger.ts';

/** One line a record: `time=… level=… msg=… key=value`. */
export function formatText({ time, level, message, fields }: LogRecord): string {
  const pairs = Object.entries(present(fields)).map(
    ([key, value]) => `${quoteIfNeeded(key)}=${quoteIfNeeded(String(value))}`,
  );
  return [
    `time=${quoteIfNeeded(time.toISOString())}`,
    `level=${level}`,
    `msg=${JSON.stringify(message)}`,
    ...pairs,
  ].join(' ');
}

/** One JSON object a line, with the keys `time`, `level`, `msg` and the fields. */
export function formatJson({ time, level, message, fields }: LogRecord): string {
  const values = Object.entries(present(fields)).map(([key, value]) => [
    key,
    typeof value === 'bigint' ? String(value) : value,
  ]);
  return JSON.stringify({ ...Object.fromEntries(values), level, msg: message, time: time.toISOString() });
}

function present(fields: LogFields): LogFields {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

/** Whatever a hostile value holds, it stays on its line and within its quotes. */
function quoteIfNeeded(text: string): string {
  return /^[A-Za-z0-9\-._/@^+]+$/.test(text) ? text : JSON.stringify(text);
}
