import { randomUUID } from 'node:crypto';
import type { CaJournalRepository, CaJournal as StoredJournal } from '../../datastore/ca-journal-repository.ts';
import type { Logger } from '../../log/logger.ts';
import type { ManagedKey } from '../../plugin-host/kinds/key-manager.ts';
import { isSpiffeError } from '../../spiffe/error.ts';
import { subjectKeyIdOfSpki } from '../../x509/spki.ts';
import {
  activeX509AuthorityId,
  decodeJournal,
  EMPTY_JOURNAL,
  encodeJournal,
  type JournalContent,
} from './journal-content.ts';
import type { JournalNameFile } from './journal-name-file.ts';
import { isX509CaKey } from './x509-authorities.ts';

export interface CaJournalOptions {
  readonly repository: CaJournalRepository;
  /** All that the key manager has: the journal whose active authority is among them is this server's. */
  readonly keys: readonly Pick<ManagedKey, 'id' | 'publicKey'>[];
  /** Remembers the journal's name where the key manager does not outlive the server. */
  readonly nameFile: JournalNameFile;
  readonly log: Logger;
}

/**
 * What the server remembers of its authorities between starts: one record a server, replaced whole. Several servers
 * may share the database.
 */
export class CaJournal {
  readonly #options: CaJournalOptions;
  #name: string;
  #version: number;
  #content: JournalContent;
  /** Of the write before, whose answer may have been lost. */
  #lastData: Uint8Array | undefined;

  private constructor(options: CaJournalOptions, name: string, version: number, content: JournalContent) {
    this.#options = options;
    this.#name = name;
    this.#version = version;
    this.#content = content;
  }

  /** @throws SpiffeError `DATASTORE_UNUSABLE` for a record that no version up to this one wrote. */
  static async open(options: CaJournalOptions): Promise<CaJournal> {
    const { repository, nameFile } = options;
    const named = await nameFile.read();
    const stored = (await findByKeys(options)) ?? (named === undefined ? undefined : await repository.find(named));
    const name = stored?.name ?? named ?? randomUUID();
    if (name !== named) await nameFile.write(name);
    return stored === undefined
      ? new CaJournal(options, name, 0, EMPTY_JOURNAL)
      : new CaJournal(options, name, stored.version, decodeJournal(stored.data));
  }

  get name(): string {
    return this.#name;
  }

  get content(): JournalContent {
    return this.#content;
  }

  /** Stores `content` and then remembers it: a crash leaves the one before or this one. */
  async write(content: JournalContent): Promise<void> {
    const data = encodeJournal(content);
    try {
      await this.#store(content, data);
    } catch (error) {
      if (!isSpiffeError(error, 'FAILED_PRECONDITION')) throw error;
      await this.#resolveConflict();
      await this.#store(content, data);
    }
    this.#content = content;
  }

  /**
   * Deletes the journals of servers that are no more: all that they had ended before `endedBefore` (Unix seconds). One that cannot
   * be read may be of a newer version, and stays.
   */
  async pruneOthers(endedBefore: number): Promise<void> {
    const { repository, log } = this.#options;
    for (const { name, data } of await repository.list()) {
      if (name === this.#name || !hasEnded(data, endedBefore)) continue;
      await repository.delete(name);
      log.info('the CA journal of a server that is no more was deleted', { journal: name });
    }
  }

  async #store(content: JournalContent, data: Uint8Array): Promise<void> {
    const record = {
      name: this.#name,
      activeX509AuthorityId: activeX509AuthorityId(content),
      data,
      version: this.#version,
    };
    const isKnown = this.#lastData;
    this.#lastData = data;
    const stored = await this.#options.repository.set(record).catch((error: unknown) => {
      if (isSpiffeError(error, 'FAILED_PRECONDITION')) this.#lastData = isKnown;
      throw error;
    });
    this.#version = stored.version;
  }

  /** The record is at another version: by a write of ours whose answer was lost, or by a server with a copy of our data folder. */
  async #resolveConflict(): Promise<void> {
    const { repository, nameFile, log } = this.#options;
    const stored = await repository.find(this.#name);
    const isOurs =
      stored === undefined || (this.#lastData !== undefined && Buffer.compare(stored.data, this.#lastData) === 0);
    if (isOurs) {
      this.#version = stored?.version ?? 0;
      return;
    }
    const name = randomUUID();
    log.warning(
      'another server writes the CA journal of this one, which goes on with one of its own: give each a data_dir of its own',
      {
        journal: this.#name,
        new_journal: name,
      },
    );
    await nameFile.write(name);
    this.#name = name;
    this.#version = 0;
  }
}

async function findByKeys({ keys, repository }: CaJournalOptions): Promise<StoredJournal | undefined> {
  for (const { publicKey } of keys.filter(({ id }) => isX509CaKey(id))) {
    const authorityId = Buffer.from(subjectKeyIdOfSpki(publicKey)).toString('hex');
    const stored = await repository.findByActiveX509Authority(authorityId);
    if (stored !== undefined) return stored;
  }
  return undefined;
}

function hasEnded(data: Uint8Array, endedBefore: number): boolean {
  try {
    const { x509, jwt } = decodeJournal(data);
    return [...x509, ...jwt].every(({ notAfter }) => notAfter < endedBefore);
  } catch (error) {
    if (!isSpiffeError(error, 'DATASTORE_UNUSABLE')) throw error;
    return false;
  }
}
