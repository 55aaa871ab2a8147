import type { Readable } from 'node:stream';
import type { LogFields, Logger, LogLevel } from '../log/logger.ts';
import { quoteText } from '../spiffe/quote-text.ts';
import { Allowance } from './allowance.ts';

/** A longer line is cut in pieces of this size, each plain text. */
const MAX_LINE_BYTES = 64 * 1024;
const MAX_FIELDS = 64;
const MAX_VALUE_CHARACTERS = 4_096;
/** Lines of one plugin in our log; of a plugin that writes more, some are left out. */
const LINES = { perSecond: 500, burst: 5_000 };
/** A plugin that writes more waits, as with any pipe that nobody empties. */
const BYTES = { perSecond: 4 * 1024 * 1024, burst: 16 * 1024 * 1024 };
const LEFT_OUT_REPORT_MS = 1_000;
/** What {@link PluginLog.lastLines} keeps. */
const KEPT_LINES = 5;
const LINE_FEED = 0x0a;

/** hclog's levels; trace is a level of ours too. */
const LEVELS: ReadonlyMap<unknown, LogLevel> = new Map([
  ['trace', 'trace'],
  ['debug', 'debug'],
  ['info', 'info'],
  ['warn', 'warning'],
  ['error', 'error'],
]);

const LEVEL_PREFIXES: readonly (readonly [string, LogLevel])[] = [
  ['[TRACE]', 'trace'],
  ['[DEBUG]', 'debug'],
  ['[INFO]', 'info'],
  ['[WARN]', 'warning'],
  ['[ERROR]', 'error'],
];

/** How a Go program begins its last words; what follows belongs to them. */
const LAST_WORDS = ['panic: ', 'fatal error: '];

/** Fields that say whose record it is, which a plugin cannot set, and those that are handled apart. */
const RESERVED_FIELDS = new Set([
  ...['plugin_name', 'plugin_type', 'subsystem_name', 'external', 'level', 'msg', 'time'],
  ...['@level', '@message', '@timestamp', '@module', '@caller'],
]);

/**
 * Turns what a plugin writes to stderr into records of our log: hclog's JSON, one object a line, or plain text.
 * Nothing that a plugin writes can make it fail, or take more of the host than its share.
 */
export class PluginLog {
  readonly #log: Logger;
  readonly #lastLines: string[] = [];
  #rest: Buffer[] = [];
  #restBytes = 0;
  #dying = false;
  readonly #lines = new Allowance(LINES);
  readonly #bytes = new Allowance(BYTES);
  #leftOutBytes = 0;
  #report: NodeJS.Timeout | undefined;

  /** @param log already says which plugin it is for. */
  constructor(log: Logger) {
    this.#log = log;
  }

  /** Reads `stderr` to its end. */
  attach(stderr: Readable): void {
    stderr.on('data', (chunk: Buffer) => {
      this.write(chunk);
      const waitMs = this.#bytes.spend(chunk.length);
      if (waitMs === 0) return;
      stderr.pause();
      setTimeout(() => stderr.resume(), waitMs).unref();
    });
    stderr.on('end', () => this.#end());
    stderr.on('error', () => this.#end()); // a broken pipe ends the log, nothing more
  }

  write(chunk: Buffer): void {
    let start = 0;
    while (start < chunk.length) {
      const lineFeed = chunk.indexOf(LINE_FEED, start);
      const end = Math.min(lineFeed === -1 ? chunk.length : lineFeed, start + MAX_LINE_BYTES - this.#restBytes);
      this.#rest.push(chunk.subarray(start, end));
      this.#restBytes += end - start;
      start = end === lineFeed ? end + 1 : end;
      if (end === lineFeed || this.#restBytes >= MAX_LINE_BYTES) this.#flush();
      if (!this.#lines.trySpend(1)) start = this.#leaveOut(chunk, start);
    }
  }

  /** Goes on with the last line of `chunk`, which may tell why a plugin ends. @returns where that begins */
  #leaveOut(chunk: Buffer, start: number): number {
    const lastLine = chunk.lastIndexOf(LINE_FEED, chunk.length - 2) + 1;
    if (lastLine <= start) return start;
    this.#leftOutBytes += lastLine - start;
    this.#report ??= setTimeout(() => this.#reportLeftOut(), LEFT_OUT_REPORT_MS).unref();
    return lastLine;
  }

  #reportLeftOut(): void {
    clearTimeout(this.#report);
    this.#report = undefined;
    if (this.#leftOutBytes === 0) return;
    this.#log.warning('plugin writes too much: a part of it is left out of this log', { bytes: this.#leftOutBytes });
    this.#leftOutBytes = 0;
  }

  #end(): void {
    this.#flush();
    this.#reportLeftOut();
  }

  /** The last lines, each quoted and cut, for a message that says why a plugin did not start. */
  get lastLines(): readonly string[] {
    return this.#lastLines.map(quoteText);
  }

  #flush(): void {
    if (this.#restBytes === 0) return;
    const line = Buffer.concat(this.#rest).toString('utf8').trimEnd();
    this.#rest = [];
    this.#restBytes = 0;
    if (line === '') return;
    const record = parseRecord(line);
    this.#lastLines.push(record?.message ?? line);
    if (this.#lastLines.length > KEPT_LINES) this.#lastLines.shift();
    if (record !== undefined) this.#log.log(record.level, record.message, record.fields);
    else this.#log.log(this.#levelOfText(line), line);
  }

  #levelOfText(line: string): LogLevel {
    this.#dying ||= LAST_WORDS.some((words) => line.startsWith(words));
    if (this.#dying) return 'error';
    return LEVEL_PREFIXES.find(([prefix]) => line.startsWith(prefix))?.[1] ?? 'debug';
  }
}

interface PluginRecord {
  readonly level: LogLevel;
  readonly message: string;
  readonly fields: LogFields;
}

/** @returns undefined where the line is not a record of hclog. */
function parseRecord(line: string): PluginRecord | undefined {
  const value = line.startsWith('{') ? parseJsonObject(line) : undefined;
  if (value === undefined || value['@message'] === undefined) return undefined;
  const fields = Object.entries(value)
    .filter(([key]) => !RESERVED_FIELDS.has(key))
    .slice(0, MAX_FIELDS)
    .map(([key, field]) => [cut(key), toFieldValue(field)]);
  const { '@timestamp': timestamp, '@module': module } = value;
  return {
    level: LEVELS.get(value['@level']) ?? 'debug',
    message: String(toFieldValue(value['@message'])),
    fields: {
      ...Object.fromEntries(fields),
      ...(timestamp === undefined ? {} : { timestamp: toFieldValue(timestamp) }),
      ...(module === undefined ? {} : { module: toFieldValue(module) }),
    },
  };
}

function parseJsonObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : undefined;
  } catch {
    return undefined; // plain text that begins with a brace
  }
}

function toFieldValue(value: unknown): string | number | boolean {
  if (typeof value === 'number' || typeof value === 'boolean') return value;
  if (typeof value === 'string') return cut(value);
  try {
    return cut(JSON.stringify(value));
  } catch {
    return '(nested too deeply)'; // what JSON.parse takes, JSON.stringify may not
  }
}

function cut(text: string): string {
  return text.length <= MAX_VALUE_CHARACTERS ? text : `${text.slice(0, MAX_VALUE_CHARACTERS)}…`;
}
