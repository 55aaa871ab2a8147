import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomically } from '../../files/write-file-atomically.ts';
import type { Logger } from '../../log/logger.ts';
import type { KeyManager } from '../../plugin-host/kinds/key-manager.ts';
import { messageOf } from '../../spiffe/error.ts';
import type { SpiffeId } from '../../spiffe/spiffe-id.ts';
import type { CacheContent } from '../workloads/workload-cache.ts';
import { formatCacheContent, parseCacheContent } from './cache-content.ts';
import { type CacheKey, createCacheKey, findCacheKey } from './cache-key.ts';
import { FirstFailure } from './first-failure.ts';

export interface CacheFileOptions {
  readonly folder: string;
  readonly keyManager: KeyManager;
  readonly log: Logger;
}

const FILE_NAME = 'workload-cache';
const MAX_FILE_BYTES = 256 * 1024 * 1024;
const MAGIC = Buffer.from('ASYCACH1');
const SALT_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const HEADER_BYTES = MAGIC.length + SALT_BYTES + NONCE_BYTES + TAG_BYTES;

/**
 * What workloads are served from after a restart while the server is away: a file encrypted with AES-256-GCM under a
 * key that only the agent's key manager can make again. A file that cannot be used is as good as none.
 *
 * `magic (8) ‖ salt (32) ‖ nonce (12) ‖ tag (16) ‖ ciphertext`, authenticated with magic and salt.
 */
export class CacheFile {
  readonly #path: string;
  readonly #options: CacheFileOptions;
  #key: CacheKey | undefined;
  readonly #failure = new FirstFailure();

  constructor(options: CacheFileOptions) {
    this.#options = options;
    this.#path = join(options.folder, FILE_NAME);
  }

  /** What was written by the agent of that ID. */
  async read(agentId: SpiffeId): Promise<CacheContent | undefined> {
    try {
      const { size } = await stat(this.#path);
      if (size > MAX_FILE_BYTES) throw new Error(`it has ${size} bytes, ${MAX_FILE_BYTES} at most`);
      const found = parseCacheContent(await this.#decrypt(await readFile(this.#path)));
      if (found.agentId !== agentId) throw new Error(`it is of ${found.agentId}`);
      return found.content;
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
      this.#options.log.warning('the workload cache is not used', { reason: messageOf(error) });
      return undefined;
    }
  }

  /**
   * A failure is logged, the first of several: the agent works without, but not across a restart while the server is away.
   * The next content is tried again.
   */
  async write(agentId: SpiffeId, content: CacheContent): Promise<void> {
    const { keyManager, log } = this.#options;
    await this.#failure.run(
      async () => {
        this.#key ??= await createCacheKey(keyManager);
        await writeFileAtomically(this.#path, encrypt(this.#key, formatCacheContent(agentId, content)));
      },
      (error) =>
        log.warning('the workload cache cannot be kept, a restart needs the server', { reason: messageOf(error) }),
      () => log.info('the workload cache is kept again'),
    );
  }

  /** For an agent that has no right to it any more. */
  async remove(): Promise<void> {
    await rm(this.#path, { force: true });
  }

  async #decrypt(file: Uint8Array): Promise<string> {
    if (file.length < HEADER_BYTES || Buffer.compare(file.subarray(0, MAGIC.length), MAGIC) !== 0) {
      throw new Error('it is damaged or of a newer version');
    }
    const [salt, nonce, tag, ciphertext] = split(file.subarray(MAGIC.length), [SALT_BYTES, NONCE_BYTES, TAG_BYTES]);
    const found = await findCacheKey(this.#options.keyManager, salt);
    if (found === undefined) throw new Error('the key manager does not have its key any more');
    const decipher = createDecipheriv('aes-256-gcm', found.key, nonce, { authTagLength: TAG_BYTES });
    decipher.setAAD(Buffer.concat([MAGIC, salt]));
    decipher.setAuthTag(tag);
    const text = Buffer.concat([decipher.update(ciphertext), decipher.final()]).toString('utf8');
    this.#key = found;
    return text;
  }
}

function encrypt({ key, salt }: CacheKey, text: string): Uint8Array {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(Buffer.concat([MAGIC, salt]));
  const ciphertext = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
  return Buffer.concat([MAGIC, salt, nonce, cipher.getAuthTag(), ciphertext]);
}

/** The parts of the given lengths, and the rest. */
function split(bytes: Uint8Array, [a, b, c]: readonly [number, number, number]) {
  return [
    bytes.subarray(0, a),
    bytes.subarray(a, a + b),
    bytes.subarray(a + b, a + b + c),
    bytes.subarray(a + b + c),
  ] as const;
}
