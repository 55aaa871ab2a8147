import { open, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomically } from '../../files/write-file-atomically.ts';
import type { Logger } from '../../log/logger.ts';
import type { KeyManager } from '../../plugin-host/kinds/key-manager.ts';
import { messageOf } from '../../spiffe/error.ts';
import type { SpiffeId } from '../../spiffe/spiffe-id.ts';
import { type CacheContent, NO_CONTENT } from '../workloads/workload-cache.ts';
import { type CacheChange, findChange, withChange } from './cache-change.ts';
import { formatCacheChange, parseCacheChange } from './cache-content.ts';
import { type CacheKey, createCacheKey, findCacheKey } from './cache-key.ts';
import { decryptRecords, EncryptedRecords, saltOf } from './encrypted-records.ts';
import { FirstFailure } from './first-failure.ts';

export interface CacheFileOptions {
  readonly folder: string;
  readonly keyManager: KeyManager;
  readonly log: Logger;
}

/** What is in the file. */
interface Written {
  readonly agentId: SpiffeId;
  readonly content: CacheContent;
  readonly records: EncryptedRecords;
  /** Of the file, in bytes, and as it was when it was written whole. */
  readonly length: number;
  readonly wholeLength: number;
}

const FILE_NAME = 'workload-cache';
const MAX_FILE_BYTES = 256 * 1024 * 1024;
/** Of changes, before the file is written whole again; at least as much as is in it. */
const MIN_CHANGES_BYTES = 64 * 1024;

/**
 * What workloads are served from after a restart while the server is away: all that there was, and the changes since,
 * encrypted under a key that only the agent's key manager can make again. A change costs what is new in it, however much
 * there is. A file that cannot be used is as good as none.
 */
export class CacheFile {
  readonly #path: string;
  readonly #options: CacheFileOptions;
  #key: CacheKey | undefined;
  /** Undefined where nobody knows. */
  #written: Written | undefined;
  readonly #failure = new FirstFailure();

  constructor(options: CacheFileOptions) {
    this.#options = options;
    this.#path = join(options.folder, FILE_NAME);
  }

  /** What was written by the agent of that ID. */
  async read(agentId: SpiffeId): Promise<CacheContent | undefined> {
    const { log } = this.#options;
    try {
      const { size } = await stat(this.#path);
      if (size > MAX_FILE_BYTES) throw new Error(`it has ${size} bytes, ${MAX_FILE_BYTES} at most`);
      const { texts, isCutOff } = await this.#decrypt(await readFile(this.#path));
      if (isCutOff) log.warning('the workload cache was not written to its end, what is before that is used');
      let content = NO_CONTENT;
      for (const text of texts) {
        const found = parseCacheChange(text);
        if (found.agentId !== agentId) throw new Error(`it is of ${found.agentId}`);
        content = withChange(content, found.change);
      }
      return content;
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
      log.warning('the workload cache is not used', { reason: messageOf(error) });
      return undefined;
    }
  }

  /**
   * A failure is logged, the first of several: the agent works without, but not across a restart while the server is away.
   * The next content is tried again.
   */
  async write(agentId: SpiffeId, content: CacheContent): Promise<void> {
    const { log } = this.#options;
    await this.#failure.run(
      async () => {
        const written = this.#written;
        this.#written = undefined;
        this.#written = (await this.#append(written, agentId, content)) ?? (await this.#writeWhole(agentId, content));
      },
      (error) =>
        log.warning('the workload cache cannot be kept, a restart needs the server', { reason: messageOf(error) }),
      () => log.info('the workload cache is kept again'),
    );
  }

  /** For an agent that has no right to it any more. */
  async remove(): Promise<void> {
    this.#written = undefined;
    await rm(this.#path, { force: true });
  }

  /** @returns undefined where the file is to be written whole. */
  async #append(written: Written | undefined, agentId: SpiffeId, content: CacheContent): Promise<Written | undefined> {
    if (written === undefined || written.agentId !== agentId) return undefined;
    const { records, length, wholeLength } = written;
    const change = findChange(written.content, content);
    if (change === undefined) return written;
    if (length - wholeLength > Math.max(wholeLength, MIN_CHANGES_BYTES)) return undefined;
    const record = records.next(formatCacheChange(agentId, change));
    return (await this.#isAppended(record, length))
      ? { ...written, content, length: length + record.length }
      : undefined;
  }

  /** Not where the file is another than the one that was written: somebody has restored or removed it. */
  async #isAppended(record: Uint8Array, length: number): Promise<boolean> {
    try {
      await using file = await open(this.#path, 'r+');
      if ((await file.stat()).size !== length) return false;
      const { bytesWritten } = await file.write(record, 0, record.length, length);
      await file.sync();
      return bytesWritten === record.length;
    } catch {
      return false; // what is wrong shows when it is written whole
    }
  }

  async #writeWhole(agentId: SpiffeId, content: CacheContent): Promise<Written> {
    this.#key ??= await createCacheKey(this.#options.keyManager);
    const records = new EncryptedRecords(this.#key);
    const bytes = records.next(formatCacheChange(agentId, wholeOf(content)));
    await writeFileAtomically(this.#path, bytes);
    return { agentId, content, records, length: bytes.length, wholeLength: bytes.length };
  }

  async #decrypt(file: Uint8Array) {
    const found = await findCacheKey(this.#options.keyManager, saltOf(file));
    if (found === undefined) throw new Error('the key manager does not have its key any more');
    const decrypted = decryptRecords(file, found.key);
    this.#key = found;
    return decrypted;
  }
}

function wholeOf({ entries, svids, bundles }: CacheContent): CacheChange {
  return {
    entries: [...entries.values()],
    goneEntries: [],
    svids: [...svids.values()],
    goneSvids: [],
    bundles: [...bundles.values()],
  };
}
