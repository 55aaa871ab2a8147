import { z } from 'zod';
import { SpiffeError } from '../../spiffe/error.ts';
import { parseCertificate } from '../../x509/certificate.ts';
import { type JwtRecord, recordIn, type X509Record } from './authority-records.ts';
import { authorityIdOf } from './x509-authorities.ts';

export interface JournalContent {
  readonly x509: readonly X509Record[];
  readonly jwt: readonly JwtRecord[];
}

export const EMPTY_JOURNAL: JournalContent = { x509: [], jwt: [] };

const bytes = z.base64().transform((text) => new Uint8Array(Buffer.from(text, 'base64')));
const common = {
  slot: z.enum(['A', 'B']),
  state: z.enum(['prepared', 'active', 'old']),
  issuedAt: z.number().int(),
  notAfter: z.number().int(),
};
const current = z.strictObject({
  format: z.literal(2),
  x509: z.array(
    z.strictObject({
      ...common,
      authorityId: z.string(),
      upstreamAuthorityId: z.string(),
      chain: z.array(bytes).min(1),
    }),
  ),
  jwt: z.array(z.strictObject({ ...common, authorityId: z.string(), publicKey: bytes })),
});
/** Before old authorities could be tainted: all were their own roots. */
const first = z
  .strictObject({
    format: z.literal(1),
    x509: z.array(z.strictObject({ ...common, chain: z.tuple([bytes]) })),
    jwt: z.array(z.strictObject({ ...common, keyId: z.string(), publicKey: bytes })),
  })
  .transform(({ x509, jwt }) => ({
    x509: x509.map((record) => ({
      ...record,
      authorityId: authorityIdOf(parseCertificate(record.chain[0])),
      upstreamAuthorityId: '',
    })),
    jwt: jwt.map(({ keyId, ...record }) => ({ ...record, authorityId: keyId })),
  }));

export function encodeJournal({ x509, jwt }: JournalContent): Uint8Array {
  const text = (value: Uint8Array) => Buffer.from(value).toString('base64');
  return Buffer.from(
    JSON.stringify({
      format: 2,
      x509: x509.map((record) => ({ ...record, chain: record.chain.map(text) })),
      jwt: jwt.map((record) => ({ ...record, publicKey: text(record.publicKey) })),
    }),
  );
}

/** @throws SpiffeError `DATASTORE_UNUSABLE` for what no version up to this one wrote. */
export function decodeJournal(data: Uint8Array): JournalContent {
  try {
    const { x509, jwt } = z.union([current, first]).parse(JSON.parse(Buffer.from(data).toString('utf8')));
    return { x509, jwt };
  } catch (cause) {
    throw new SpiffeError(
      'DATASTORE_UNUSABLE',
      'the journal of the certificate authority is damaged or of a newer version: restore the database from a backup, or run the version that wrote it',
      { cause },
    );
  }
}

/** What a server finds its journal by; empty before one signs. */
export function activeX509AuthorityId({ x509 }: JournalContent): string {
  return recordIn(x509, 'active')?.authorityId ?? '';
}
