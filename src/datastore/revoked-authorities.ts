import { createHash } from 'node:crypto';
import type { Kysely } from 'kysely';
import type { Bundle, JwtAuthority, X509Authority } from '../spiffe/bundle.ts';
import type { TrustDomain } from '../spiffe/trust-domain.ts';
import { parseCertificate } from '../x509/certificate.ts';
import type { DatastoreSchema } from './schema.ts';
import { chunksOf } from './session.ts';

export type RevokedAuthorities = Pick<Bundle, 'x509Authorities' | 'jwtAuthorities'>;

type Row = DatastoreSchema['revoked_authority'];

/** Remembers what `before` has and `after` has not, for as long as it would have been valid. */
export async function rememberRevoked(db: Kysely<DatastoreSchema>, before: Bundle, after: Bundle): Promise<void> {
  const left = new Set(rowsOf(after).map(keyOf));
  const rows = rowsOf(before).filter((row) => !left.has(keyOf(row)));
  for (const chunk of chunksOf(rows)) {
    await db
      .insertInto('revoked_authority')
      .values(chunk)
      .onConflict((conflict) => conflict.doNothing())
      .execute();
  }
}

/** What `bundle` has counts as revoked no more. */
export async function forgetRevoked(db: Kysely<DatastoreSchema>, bundle: Bundle): Promise<void> {
  for (const { trust_domain, kind, name } of rowsOf(bundle)) {
    await db
      .deleteFrom('revoked_authority')
      .where('trust_domain', '=', trust_domain)
      .where('kind', '=', kind)
      .where('name', '=', name)
      .execute();
  }
}

/** Those authorities of `bundle` that were revoked. */
export async function revokedAmong(
  db: Kysely<DatastoreSchema>,
  { trustDomain, x509Authorities, jwtAuthorities }: Bundle,
): Promise<RevokedAuthorities> {
  const rows = await db.selectFrom('revoked_authority').selectAll().where('trust_domain', '=', trustDomain).execute();
  const revoked = new Set(rows.map(keyOf));
  return {
    x509Authorities: x509Authorities.filter((authority) => revoked.has(keyOf(x509Row(trustDomain, authority)))),
    jwtAuthorities: jwtAuthorities.filter((authority) => revoked.has(keyOf(jwtRow(trustDomain, authority)))),
  };
}

/** Forgets what expired before `expiredBefore` (Unix seconds). */
export async function pruneRevoked(
  db: Kysely<DatastoreSchema>,
  trustDomain: TrustDomain,
  expiredBefore: number,
): Promise<void> {
  await db
    .deleteFrom('revoked_authority')
    .where('trust_domain', '=', trustDomain)
    .where('expires_at', '!=', 0)
    .where('expires_at', '<', expiredBefore)
    .execute();
}

function rowsOf({ trustDomain, x509Authorities, jwtAuthorities }: Bundle): readonly Row[] {
  return [
    ...x509Authorities.map((authority) => x509Row(trustDomain, authority)),
    ...jwtAuthorities.map((authority) => jwtRow(trustDomain, authority)),
  ];
}

function x509Row(trust_domain: TrustDomain, { certificate }: X509Authority): Row {
  const expires_at = Math.floor(parseCertificate(certificate).notAfter.getTime() / 1000);
  const name = createHash('sha256').update(certificate).digest('hex');
  return { trust_domain, kind: 'x509', name, expires_at };
}

function jwtRow(trust_domain: TrustDomain, { keyId, expiresAt }: JwtAuthority): Row {
  return { trust_domain, kind: 'jwt', name: keyId, expires_at: expiresAt };
}

const keyOf = ({ kind, name }: Pick<Row, 'kind' | 'name'>) => `${kind} ${name}`;
