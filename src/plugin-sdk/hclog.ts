import type { LogLevel, LogRecord, LogSink } from '../log/logger.ts';

const HCLOG_LEVELS: Readonly<Record<LogLevel, string>> = {
  panic: 'error',
  fatal: 'error',
  error: 'error',
  warning: 'warn',
  info: 'info',
  debug: 'debug',
  trace: 'trace',
};

/**
 * Writes hclog's JSON lines. The host parses the time with exactly six fraction digits, and takes a line
 * whose time does not parse as plain text.
 */
export function hclogSink(write: (line: string) => void): LogSink {
  return (record) => write(`${formatHclog(record)}\n`);
}

export function formatHclog({ time, level, message, fields }: LogRecord): string {
  const values = Object.entries(fields).map(([key, value]) => [
    key.startsWith('@') ? key.slice(1) : key,
    typeof value === 'bigint' ? String(value) : value,
  ]);
  return JSON.stringify({
    '@level': HCLOG_LEVELS[level],
    '@message': message,
    '@timestamp': time.toISOString().replace(/Z$/, '000Z'),
    ...Object.fromEntries(values),
  });
}
