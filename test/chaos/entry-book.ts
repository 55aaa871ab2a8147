import { EntryDefinition } from '../../src/gen/spire/api/server/entry/v1/entry.ts';
import { Entry, EntryMask } from '../../src/gen/spire/api/types/types.ts';
import { RpcChannel } from '../../src/rpc/channel.ts';
import { type Client, createClient } from '../../src/rpc/client.ts';
import { parseSelector } from '../../src/spiffe/selector.ts';
import type { Disturbances } from './disturbances.ts';

const TRUST_DOMAIN = 'example.org';
const CALL = { deadlineMs: 5_000 };
const EVERYTHING = { filter: undefined, outputMask: undefined, pageSize: 0, pageToken: '' };

/** One state of an entry: every change gives it another path, so that an SVID says which state it was issued for. */
interface Version {
  readonly path: string;
  readonly selectors: readonly string[];
  /** It cannot have been there earlier. */
  readonly since: number;
  /** From when on it is certain to be there; undefined while an answer is missing. */
  storedAt: number | undefined;
  /** From when on it is certain to be gone; undefined while it is not. */
  until: number | undefined;
  entryId: string | undefined;
}

export interface EntryBookOptions {
  readonly adminSocket: string;
  readonly parentPath: string;
  readonly disturbances: Disturbances;
  /** How long a change may take to come to workloads while nothing is broken, in milliseconds. */
  readonly graceMs: number;
}

/** Makes, changes and deletes entries, and knows which identities they gave to whom at any moment. */
export class EntryBook {
  readonly #options: EntryBookOptions;
  readonly #versions = new Map<string, Version>();
  #count = 0;
  /** A call was not answered: what came of it is to be looked up. */
  #isUncertain = false;

  constructor(options: EntryBookOptions) {
    this.#options = options;
  }

  /** Those that can be changed or deleted. */
  get stored(): readonly string[] {
    return [...this.#versions.values()].filter(isStored).map(({ path }) => path);
  }

  async create(selectors: readonly string[], name = 'entry'): Promise<void> {
    const version = this.#begin(selectors, name);
    const entry = toEntry(version, this.#options.parentPath);
    await this.#call(async (api) => {
      const { results } = await api.batchCreateEntry({ entries: [entry], outputMask: undefined }, CALL);
      const [result] = results;
      if (result?.status?.code !== 0) throw new Error(`an entry was refused: ${result?.status?.message}`);
      version.entryId = result.entry?.id;
      version.storedAt = Date.now();
    });
  }

  /** Gives an entry other selectors, and another path with them. */
  async change(path: string, selectors: readonly string[]): Promise<void> {
    const before = this.#get(path);
    const version = this.#begin(selectors, 'entry');
    version.entryId = before.entryId;
    const entry = { ...toEntry(version, this.#options.parentPath), id: before.entryId ?? '' };
    const inputMask = EntryMask.fromPartial({ spiffeId: true, selectors: true });
    before.storedAt = undefined;
    await this.#call(async (api) => {
      const { results } = await api.batchUpdateEntry({ entries: [entry], inputMask, outputMask: undefined }, CALL);
      if (results[0]?.status?.code !== 0) throw new Error(`a change was refused: ${results[0]?.status?.message}`);
      version.storedAt = Date.now();
      before.until = version.storedAt;
    });
  }

  async delete(path: string): Promise<void> {
    const version = this.#get(path);
    version.storedAt = undefined;
    await this.#call(async (api) => {
      const { results } = await api.batchDeleteEntry({ ids: [version.entryId ?? ''] }, CALL);
      if (results[0]?.status?.code !== 0) throw new Error(`a deletion was refused: ${results[0]?.status?.message}`);
      version.until = Date.now();
    });
  }

  /** Looks up what came of calls that were not answered. @returns what the server lost of what it had confirmed */
  async settle(): Promise<readonly string[]> {
    using channel = RpcChannel.unix(this.#options.adminSocket);
    const { entries } = await createClient(EntryDefinition, channel).listEntries(EVERYTHING, CALL);
    const ids = new Map(entries.map(({ id, spiffeId }) => [spiffeId?.path ?? '', id]));
    const lost: string[] = [];
    for (const version of this.#versions.values()) {
      if (version.until !== undefined) continue;
      const id = ids.get(version.path);
      if (id === undefined && isStored(version)) lost.push(version.path);
      if (id === undefined) version.until = Date.now();
      else version.entryId = id;
      if (id !== undefined) version.storedAt ??= Date.now();
    }
    this.#isUncertain = false;
    return lost;
  }

  get isUncertain(): boolean {
    return this.#isUncertain;
  }

  /** Whether the entries gave this identity to whoever has these selectors, at that time or so short before that it was not known yet. */
  mayHave(id: string, selectors: readonly string[], at: number): boolean {
    const version = this.#versions.get(id);
    if (version === undefined || !isMatching(version, selectors) || at < version.since) return false;
    const { disturbances, graceMs } = this.#options;
    return version.until === undefined || !disturbances.hadQuiet(version.until, at, graceMs);
  }

  /** The identities that nobody can be ignorant of: they have been there for the grace at least, and nobody meddled with them. */
  mustHave(selectors: readonly string[], at: number): readonly string[] {
    const { disturbances, graceMs } = this.#options;
    return [...this.#versions]
      .filter(([, version]) => isMatching(version, selectors) && isStored(version))
      .filter(([, { storedAt }]) => disturbances.hadQuiet(storedAt ?? at, at, graceMs))
      .map(([id]) => id);
  }

  /** The identities that the entries give by now. */
  expected(selectors: readonly string[]): readonly string[] {
    return [...this.#versions]
      .filter(([, version]) => isMatching(version, selectors) && isStored(version))
      .map(([id]) => id);
  }

  #begin(selectors: readonly string[], name: string): Version {
    this.#count += 1;
    const path = `/${name}/${this.#count}`;
    const version = {
      path,
      selectors,
      since: Date.now(),
      storedAt: undefined,
      until: undefined,
      entryId: undefined,
    };
    this.#versions.set(`spiffe://${TRUST_DOMAIN}${path}`, version);
    return version;
  }

  #get(path: string): Version {
    const version = this.#versions.get(`spiffe://${TRUST_DOMAIN}${path}`);
    if (version === undefined) throw new Error(`there is no ${path}`);
    return version;
  }

  async #call(work: (api: Client<typeof EntryDefinition>) => Promise<void>): Promise<void> {
    using channel = RpcChannel.unix(this.#options.adminSocket);
    try {
      await work(createClient(EntryDefinition, channel));
    } catch (error) {
      this.#isUncertain = true;
      throw error;
    }
  }
}

function isStored({ storedAt, until }: Version): boolean {
  return storedAt !== undefined && until === undefined;
}

function isMatching(version: Version, selectors: readonly string[]): boolean {
  return version.selectors.every((selector) => selectors.includes(selector));
}

function toEntry({ path, selectors }: Version, parentPath: string): Entry {
  return Entry.fromPartial({
    spiffeId: { trustDomain: TRUST_DOMAIN, path },
    parentId: { trustDomain: TRUST_DOMAIN, path: parentPath },
    selectors: selectors.map(parseSelector),
  });
}
