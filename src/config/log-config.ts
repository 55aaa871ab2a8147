import { choice, optionalText, orUnset } from './fields.ts';

/** Source: inventory C017 to C020, C085 to C089. */
export interface LogConfig {
  /** Absent: standard error. */
  readonly file: string | undefined;
  readonly level: 'panic' | 'fatal' | 'error' | 'warning' | 'info' | 'debug' | 'trace';
  readonly format: 'text' | 'json';
  readonly sourceLocation: boolean;
}

const level = choice(['panic', 'fatal', 'error', 'warning', 'warn', 'info', 'debug', 'trace']);

export const logFields = {
  log_file: optionalText,
  log_level: orUnset(level),
  log_format: orUnset(choice(['text', 'json'])),
};

export function toLogConfig(raw: {
  readonly log_file?: string | undefined;
  readonly log_level?: LogConfig['level'] | 'warn' | undefined;
  readonly log_format?: LogConfig['format'] | undefined;
  readonly log_source_location: boolean;
}): LogConfig {
  return {
    file: raw.log_file,
    level: raw.log_level === 'warn' ? 'warning' : (raw.log_level ?? 'info'),
    format: raw.log_format ?? 'text',
    sourceLocation: raw.log_source_location,
  };
}
