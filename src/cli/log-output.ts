import { closeSync, openSync, writeSync } from 'node:fs';
import type { LogConfig } from '../config/log-config.ts';
import { formatJson, formatText } from '../log/format.ts';
import { type LogFields, Logger, type LogRecord } from '../log/logger.ts';
import { messageOf, SpiffeError } from '../spiffe/error.ts';

/** A logger and the file behind it. Disposing closes that. */
export interface LogOutput extends Disposable {
  readonly log: Logger;
  /** Opens the file of this name again, for whoever renamed the old one. Without a file, does nothing. */
  reopen(): void;
}

const LOG_FILE_MODE = 0o640;
const STANDARD_ERROR = 2;

/** @throws SpiffeError `FILE_UNUSABLE` */
export function openLog({ file, level, format, sourceLocation }: LogConfig): LogOutput {
  let descriptor = file === undefined ? STANDARD_ERROR : openFile(file);
  const toLine = format === 'json' ? formatJson : formatText;
  const sink = (record: LogRecord) => {
    const located = sourceLocation ? { ...record, fields: { ...record.fields, ...findSource() } } : record;
    write(descriptor, `${toLine(located)}\n`);
  };
  const log = new Logger(sink, level);
  return {
    log,
    reopen: () => {
      if (file === undefined) return;
      try {
        const opened = openFile(file);
        closeSync(descriptor);
        descriptor = opened;
      } catch (error) {
        if (!(error instanceof SpiffeError)) throw error;
        log.error('the log file was not opened again', { reason: error.message });
      }
    },
    [Symbol.dispose]: () => {
      if (descriptor !== STANDARD_ERROR) closeSync(descriptor);
      descriptor = STANDARD_ERROR;
    },
  };
}

function openFile(path: string): number {
  try {
    return openSync(path, 'a', LOG_FILE_MODE);
  } catch (cause) {
    const reason = messageOf(cause);
    throw new SpiffeError(
      'FILE_UNUSABLE',
      `the log file "${path}" cannot be opened: ${reason}; name another log_file`,
      { cause },
    );
  }
}

/** A log that cannot be written stops nothing. */
function write(descriptor: number, line: string): void {
  try {
    writeSync(descriptor, line);
  } catch {
    // a full disk, or a reader of standard error that has gone
  }
}

/** Where the program called its logger, whose class a bundle may have given another name. */
function findSource(): LogFields {
  const ofLogger = `at ${Logger.name}.`;
  const frames = new Error().stack?.split('\n').slice(1) ?? [];
  const lastOfLogger = frames.findLastIndex((frame) => frame.includes(ofLogger));
  const [, name, place = ''] = /\bat (?:(.+) \()?(.+?)\)?$/.exec(frames[lastOfLogger + 1] ?? '') ?? [];
  return { file: place.replace(/^file:\/\//, ''), func: name };
}
