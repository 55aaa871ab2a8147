/** Levels as SPIRE names them, least talkative first. */
export const LOG_LEVELS = ['panic', 'fatal', 'error', 'warning', 'info', 'debug', 'trace'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export type LogFields = Readonly<Record<string, string | number | bigint | boolean | undefined>>;

export interface LogRecord {
  readonly time: Date;
  readonly level: LogLevel;
  readonly message: string;
  readonly fields: LogFields;
}

export type LogSink = (record: LogRecord) => void;

interface Threshold {
  level: LogLevel;
  readonly launchLevel: LogLevel;
}

/** A logger whose level may change at run time and is shared with its children. */
export class Logger {
  readonly #sink: LogSink;
  readonly #fields: LogFields;
  readonly #threshold: Threshold;

  constructor(
    sink: LogSink,
    level: LogLevel = 'info',
    fields: LogFields = {},
    threshold: Threshold = { level, launchLevel: level },
  ) {
    this.#sink = sink;
    this.#fields = fields;
    this.#threshold = threshold;
  }

  get level(): LogLevel {
    return this.#threshold.level;
  }

  set level(level: LogLevel) {
    this.#threshold.level = level;
  }

  /** What the level was at first. */
  get launchLevel(): LogLevel {
    return this.#threshold.launchLevel;
  }

  /** A logger that adds `fields` to every record; it follows this one's level. */
  child(fields: LogFields): Logger {
    return new Logger(this.#sink, this.level, { ...this.#fields, ...fields }, this.#threshold);
  }

  isEnabled(level: LogLevel): boolean {
    return LOG_LEVELS.indexOf(level) <= LOG_LEVELS.indexOf(this.#threshold.level);
  }

  log(level: LogLevel, message: string, fields: LogFields = {}): void {
    if (!this.isEnabled(level)) return;
    this.#sink({ time: new Date(), level, message, fields: { ...this.#fields, ...fields } });
  }

  error(message: string, fields?: LogFields): void {
    this.log('error', message, fields);
  }

  warning(message: string, fields?: LogFields): void {
    this.log('warning', message, fields);
  }

  info(message: string, fields?: LogFields): void {
    this.log('info', message, fields);
  }

  debug(message: string, fields?: LogFields): void {
    this.log('debug', message, fields);
  }
}
