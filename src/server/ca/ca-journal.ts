import { z } from 'zod';
import type { CaJournalRepository } from '../../datastore/ca-journal-repository.ts';
import { SpiffeError } from '../../spiffe/error.ts';

/** One of the two keys that take turns. */
export type Slot = 'A' | 'B';

/** Where an authority stands: the next to sign, the one that signs, or one that signed. */
export type AuthorityState = 'prepared' | 'active' | 'old';

export interface X509Record {
  readonly slot: Slot;
  readonly state: AuthorityState;
  /** The CA certificate, DER, and what links it to a root above, if anything does. */
  readonly chain: readonly Uint8Array[];
  /** Unix seconds. */
  readonly issuedAt: number;
  readonly notAfter: number;
}

export interface JwtRecord {
  readonly slot: Slot;
  readonly state: AuthorityState;
  readonly keyId: string;
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKey: Uint8Array;
  readonly issuedAt: number;
  readonly notAfter: number;
}

export interface JournalContent {
  readonly x509: readonly X509Record[];
  readonly jwt: readonly JwtRecord[];
}

const bytes = z.base64().transform((text) => new Uint8Array(Buffer.from(text, 'base64')));
const times = { issuedAt: z.number().int(), notAfter: z.number().int() };
const slot = z.enum(['A', 'B']);
const state = z.enum(['prepared', 'active', 'old']);
const contentSchema = z.strictObject({
  format: z.literal(1),
  x509: z.array(z.strictObject({ slot, state, chain: z.array(bytes).min(1), ...times })),
  jwt: z.array(z.strictObject({ slot, state, keyId: z.string(), publicKey: bytes, ...times })),
});

/**
 * What the server remembers of its authorities between starts: one record, replaced whole.
 * Old authorities beyond the last of each kind are forgotten; the bundle still has them until they expire.
 */
export class CaJournal {
  readonly #repository: CaJournalRepository;
  readonly #name: string;
  #version = 0;
  content: JournalContent = { x509: [], jwt: [] };

  private constructor(repository: CaJournalRepository, name: string) {
    this.#repository = repository;
    this.#name = name;
  }

  /** @throws SpiffeError `DATASTORE_UNUSABLE` for a record that no version of ours wrote. */
  static async open(repository: CaJournalRepository, name: string): Promise<CaJournal> {
    const journal = new CaJournal(repository, name);
    const stored = await repository.find(name);
    if (stored !== undefined) {
      journal.#version = stored.version;
      journal.content = decode(stored.data);
    }
    return journal;
  }

  /** Stores `content` and then remembers it: a crash leaves the one before or this one. */
  async write(content: JournalContent, activeX509AuthorityId: string): Promise<void> {
    const stored = await this.#repository.set({
      name: this.#name,
      activeX509AuthorityId,
      data: encode(content),
      version: this.#version,
    });
    this.#version = stored.version;
    this.content = content;
  }
}

function encode({ x509, jwt }: JournalContent): Uint8Array {
  const text = (value: Uint8Array) => Buffer.from(value).toString('base64');
  return Buffer.from(
    JSON.stringify({
      format: 1,
      x509: x509.map((record) => ({ ...record, chain: record.chain.map(text) })),
      jwt: jwt.map((record) => ({ ...record, publicKey: text(record.publicKey) })),
    }),
  );
}

function decode(data: Uint8Array): JournalContent {
  try {
    const { x509, jwt } = contentSchema.parse(JSON.parse(Buffer.from(data).toString('utf8')));
    return { x509, jwt };
  } catch (cause) {
    throw new SpiffeError(
      'DATASTORE_UNUSABLE',
      'the journal of the certificate authority is damaged or of a newer version: restore the database from a backup, or run the version that wrote it',
      { cause },
    );
  }
}
