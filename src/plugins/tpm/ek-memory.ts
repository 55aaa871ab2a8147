import { mkdir, readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomically } from '../../files/write-file-atomically.ts';
import { messageOf, SpiffeError } from '../../spiffe/error.ts';
import type { ClockInfo } from '../../tpm/attest.ts';
import { RememberedEventLogs } from '../../tpm/boot/remembered-event-logs.ts';
import { KnownEks } from '../../tpm-trust/known-eks.ts';
import { advance, decodeEkState, type EkState, encodeEkState, type ImaProgress, requireForward } from './ek-state.ts';

const MAX_REMEMBERED = 100_000;
/** Between two looks at how many there are. */
const PRUNE_EVERY = 1_000;
const SUFFIX = '.json';

/** Keeps a text for each endorsement key. */
interface Store {
  read(pubHash: string): Promise<string | undefined>;
  write(pubHash: string, text: string): Promise<void>;
  /** What to do where a TPM was cleared on purpose. */
  remedy(pubHash: string): string;
}

/**
 * What each endorsement key was like when it last attested. In a folder, a file for each, it survives the server; without one
 * it lasts as long as the process. The keys that were not seen for longest are forgotten where there are too many.
 */
export class EkMemory {
  /** As long as the process lasts: what need not be worked out again. */
  readonly eks = new KnownEks();
  readonly eventLogs = new RememberedEventLogs();
  readonly #store: Store;
  /** What is being written: one after the other for each key. */
  readonly #writing = new Map<string, Promise<unknown>>();

  constructor(store: Store = new ProcessStore()) {
    this.#store = store;
  }

  /** @throws SpiffeError `CONFIG_INVALID` for a folder that cannot be used */
  static async openFolder(path: string): Promise<EkMemory> {
    return new EkMemory(await FolderStore.open(path));
  }

  /**
   * @param pubHash of the endorsement key
   * @throws SpiffeError `ATTESTATION_DENIED` (C24) where its TPM has gone back since; `FILE_UNUSABLE`
   */
  async recall(pubHash: string, now: ClockInfo): Promise<EkState | undefined> {
    const last = await this.#find(pubHash);
    requireForward(last, now, this.#store.remedy(pubHash));
    return last;
  }

  /** @returns what was remembered before @throws like {@link recall} */
  async remember(pubHash: string, now: ClockInfo, ima: ImaProgress | undefined): Promise<EkState | undefined> {
    const before = this.#writing.get(pubHash);
    const write = async () => {
      await before?.catch(() => {});
      const last = await this.recall(pubHash, now);
      await this.#store.write(pubHash, encodeEkState(advance(last, now, ima)));
      return last;
    };
    const writing = write();
    this.#writing.set(pubHash, writing);
    try {
      return await writing;
    } finally {
      if (this.#writing.get(pubHash) === writing) this.#writing.delete(pubHash);
    }
  }

  async #find(pubHash: string): Promise<EkState | undefined> {
    const text = await this.#store.read(pubHash);
    if (text === undefined) return undefined;
    try {
      return decodeEkState(text);
    } catch (cause) {
      throw new SpiffeError('FILE_UNUSABLE', 'what the server remembers of this TPM cannot be read', { cause });
    }
  }
}

class ProcessStore implements Store {
  readonly #texts = new Map<string, string>();

  async read(pubHash: string): Promise<string | undefined> {
    return this.#texts.get(pubHash);
  }

  async write(pubHash: string, text: string): Promise<void> {
    this.#texts.delete(pubHash);
    this.#texts.set(pubHash, text);
    const [oldest] = this.#texts.keys();
    if (this.#texts.size > MAX_REMEMBERED && oldest !== undefined) this.#texts.delete(oldest);
  }

  remedy(): string {
    return 'if it was cleared on purpose, restart the server';
  }
}

class FolderStore implements Store {
  readonly #path: string;
  #untilPruned = 0;

  private constructor(path: string) {
    this.#path = path;
  }

  static async open(path: string): Promise<FolderStore> {
    try {
      await mkdir(path, { recursive: true, mode: 0o700 });
      if (!(await stat(path)).isDirectory()) throw new Error('it is no folder');
    } catch (cause) {
      throw new SpiffeError('CONFIG_INVALID', `state_path: "${path}" cannot be used: ${messageOf(cause)}`, { cause });
    }
    return new FolderStore(path);
  }

  async read(pubHash: string): Promise<string | undefined> {
    try {
      return await readFile(this.#file(pubHash), 'utf8');
    } catch (cause) {
      if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return undefined;
      throw new SpiffeError('FILE_UNUSABLE', 'what the server remembers of this TPM cannot be read', { cause });
    }
  }

  async write(pubHash: string, text: string): Promise<void> {
    await writeFileAtomically(this.#file(pubHash), text, 0o600, undefined, 'of what is remembered of this TPM');
    this.#untilPruned -= 1;
    if (this.#untilPruned >= 0) return;
    this.#untilPruned = PRUNE_EVERY;
    await this.#prune();
  }

  remedy(pubHash: string): string {
    return `if it was cleared on purpose, remove ${pubHash}${SUFFIX} from "state_path"`;
  }

  #file(pubHash: string): string {
    return join(this.#path, `${pubHash}${SUFFIX}`);
  }

  /** A file is made anew at each attestation, so its time is that of the last one. */
  async #prune(): Promise<void> {
    const names = (await readdir(this.#path)).filter((name) => name.endsWith(SUFFIX));
    if (names.length <= MAX_REMEMBERED) return;
    const ages = await Promise.all(
      names.map(async (name) => ({
        name,
        at: (await stat(join(this.#path, name)).catch(() => undefined))?.mtimeMs ?? 0,
      })),
    );
    const oldest = ages.toSorted((a, b) => a.at - b.at).slice(0, names.length - MAX_REMEMBERED);
    for (const { name } of oldest) await rm(join(this.#path, name), { force: true });
  }
}
