import type { Readable } from 'node:stream';
import { getSystemErrorName } from 'node:util';

/** More is no report. */
const MAX_REPORT_BYTES = 16 * 1024;

/** A step that the launcher could not take; it has ended then. */
export class LaunchFailure extends Error {
  override readonly name = 'LaunchFailure';
  readonly measure: string;
  /** What it was at, such as a path; may be empty. */
  readonly detail: string;
  /** Such as `EPERM`. */
  readonly reason: string;

  constructor(measure: string, error: number, detail: string) {
    const reason = error > 0 ? getSystemErrorName(-error) : 'unknown error';
    super(`${measure}: ${detail === '' ? '' : `${detail}: `}${reason}`);
    this.measure = measure;
    this.detail = detail;
    this.reason = reason;
  }

  /** Whether something was replaced between the look that was taken at it and the start. */
  get isReplacement(): boolean {
    return this.measure === 'place' && ['ELOOP', 'ENOENT', 'ENOTDIR'].includes(this.reason);
  }
}

/**
 * Reads what the launcher says until the plugin runs, or it has ended.
 *
 * @returns the plugin's process: the launcher stays above it; undefined where it was not told.
 * @throws LaunchFailure
 */
export async function readLaunchReport(stream: Readable): Promise<number | undefined> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of stream) {
    const buffer = Buffer.from(chunk);
    bytes += buffer.length;
    if (bytes > MAX_REPORT_BYTES) break;
    chunks.push(buffer);
  }
  const lines = Buffer.concat(chunks).toString('utf8').split('\n');
  for (const line of lines) {
    const [, measure, error, detail] = /^failed (\S+) (\d+) ?(.*)$/.exec(line) ?? [];
    if (measure !== undefined) throw new LaunchFailure(measure, Number(error), detail ?? '');
  }
  const pid = lines.map((line) => /^pid (\d+)$/.exec(line)?.[1]).find((text) => text !== undefined);
  return pid === undefined ? undefined : Number(pid);
}
