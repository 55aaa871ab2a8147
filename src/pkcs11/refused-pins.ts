import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { z } from 'zod';
import { writeFileAtomically } from '../files/write-file-atomically.ts';
import type { Logger } from '../log/logger.ts';
import { messageOf } from '../spiffe/error.ts';

const derive = promisify<string, Buffer, number, Buffer>(scrypt);

const FILE = 'pkcs11-refused-pins.json';
/** A token counts a handful; the newest ones stay. */
const MAX_REFUSED = 64;
const MAX_FILE_BYTES = 64 * 1024;
const HASH_BYTES = 32;

const bytes = z.base64().transform((text): Buffer => Buffer.from(text, 'base64'));
const hashBytes = bytes.refine(({ length }) => length === HASH_BYTES);
const refusal = z.strictObject({ token: z.string(), salt: bytes, hash: hashBytes, reason: z.string() });
type Refusal = z.output<typeof refusal>;

/**
 * Which PINs tokens have refused: none is shown to a token twice, as tokens lock after a few. The next process knows of them too, until
 * the machine is booted, by a file for its user alone that holds a salted hash of each.
 */
export class RefusedPins {
  readonly #findFolder: () => Promise<string>;
  readonly #log: Logger;
  /** Those of this process, for where there is no file. */
  #own: readonly Refusal[] = [];

  /** @param findFolder gives a folder that only this process's user can write, and that lasts until the machine is booted */
  constructor(findFolder: () => Promise<string>, log: Logger) {
    this.#findFolder = findFolder;
    this.#log = log;
  }

  /** @returns why the token refused this PIN; undefined where it did not. */
  async findReason(token: string, pin: string): Promise<string | undefined> {
    for (const { salt, hash, reason, ...refused } of [...this.#own, ...(await this.#read())]) {
      if (refused.token !== token) continue;
      if (timingSafeEqual(hash, await derive(pin, salt, HASH_BYTES))) return reason;
    }
    return undefined;
  }

  async add(token: string, pin: string, reason: string): Promise<void> {
    const salt = randomBytes(16);
    const refused = { token, salt, hash: await derive(pin, salt, HASH_BYTES), reason };
    this.#own = [...this.#own, refused].slice(-MAX_REFUSED);
    await this.#write([...(await this.#read()), refused].slice(-MAX_REFUSED));
  }

  /** The token took another PIN since. */
  async forget(token: string): Promise<void> {
    const isOfOther = (refused: Refusal) => refused.token !== token;
    this.#own = this.#own.filter(isOfOther);
    const stored = await this.#read();
    if (!stored.every(isOfOther)) await this.#write(stored.filter(isOfOther));
  }

  async #read(): Promise<readonly Refusal[]> {
    try {
      const path = join(await this.#findFolder(), FILE);
      const { size, uid } = await stat(path);
      if (size > MAX_FILE_BYTES || uid !== process.getuid?.()) return [];
      return z.array(refusal).parse(JSON.parse(await readFile(path, 'utf8')));
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) this.#warn(error);
      return [];
    }
  }

  async #write(known: readonly Refusal[]): Promise<void> {
    const entries = known.map(({ token, salt, hash, reason }) => ({
      ...{ token, reason },
      ...{ salt: salt.toString('base64'), hash: hash.toString('base64') },
    }));
    try {
      await writeFileAtomically(join(await this.#findFolder(), FILE), `${JSON.stringify(entries)}\n`, 0o600);
    } catch (error) {
      this.#warn(error);
    }
  }

  #warn(error: unknown): void {
    this.#log.log('warning', 'a PIN that the PKCS#11 token refused is remembered by this process alone', {
      reason: messageOf(error),
    });
  }
}
