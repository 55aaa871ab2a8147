import type { Kysely } from 'kysely';
import type { Bundle, JwtAuthority, X509Authority } from '../spiffe/bundle.ts';
import type { TrustDomain } from '../spiffe/trust-domain.ts';
import { Lists } from './lists.ts';
import type { DatastoreSchema } from './schema.ts';
import { chunksOf, toFlag } from './session.ts';

type BundleRow = DatastoreSchema['bundle'];

/** Adds authorities to rows: two queries for a thousand rows. */
export async function loadBundles(db: Kysely<DatastoreSchema>, rows: readonly BundleRow[]): Promise<readonly Bundle[]> {
  const x509Authorities = new Lists<X509Authority>();
  const jwtAuthorities = new Lists<JwtAuthority>();
  for (const chunk of chunksOf(rows)) {
    const trustDomains = chunk.map(({ trust_domain }) => trust_domain);
    const x509Rows = await db
      .selectFrom('bundle_x509_authority')
      .selectAll()
      .where('trust_domain', 'in', trustDomains)
      .orderBy('position')
      .execute();
    for (const { trust_domain, certificate, tainted } of x509Rows) {
      x509Authorities.add(trust_domain, { certificate, tainted: tainted !== 0 });
    }
    const jwtRows = await db
      .selectFrom('bundle_jwt_authority')
      .selectAll()
      .where('trust_domain', 'in', trustDomains)
      .orderBy('position')
      .execute();
    for (const { trust_domain, key_id, public_key, expires_at, tainted } of jwtRows) {
      jwtAuthorities.add(trust_domain, {
        keyId: key_id,
        publicKey: public_key,
        expiresAt: expires_at,
        tainted: tainted !== 0,
      });
    }
  }
  return rows.map((row) => ({
    trustDomain: row.trust_domain as TrustDomain,
    x509Authorities: x509Authorities.of(row.trust_domain),
    jwtAuthorities: jwtAuthorities.of(row.trust_domain),
    refreshHintSeconds: row.refresh_hint_seconds,
    sequenceNumber: BigInt(row.sequence_number),
  }));
}

export function toBundleRow(bundle: Bundle): BundleRow {
  return {
    trust_domain: bundle.trustDomain,
    refresh_hint_seconds: bundle.refreshHintSeconds,
    sequence_number: bundle.sequenceNumber.toString(),
  };
}

/** Puts the authorities in the place of those that are stored. */
export async function replaceAuthorities(db: Kysely<DatastoreSchema>, bundle: Bundle): Promise<void> {
  const trust_domain = bundle.trustDomain;
  await db.deleteFrom('bundle_x509_authority').where('trust_domain', '=', trust_domain).execute();
  await db.deleteFrom('bundle_jwt_authority').where('trust_domain', '=', trust_domain).execute();
  const x509Rows = bundle.x509Authorities.map(({ certificate, tainted }, position) => ({
    trust_domain,
    position,
    certificate,
    tainted: toFlag(tainted),
  }));
  const jwtRows = bundle.jwtAuthorities.map(({ keyId, publicKey, expiresAt, tainted }, position) => ({
    trust_domain,
    position,
    key_id: keyId,
    public_key: publicKey,
    expires_at: expiresAt,
    tainted: toFlag(tainted),
  }));
  for (const chunk of chunksOf(x509Rows)) await db.insertInto('bundle_x509_authority').values(chunk).execute();
  for (const chunk of chunksOf(jwtRows)) await db.insertInto('bundle_jwt_authority').values(chunk).execute();
}
