import type { PublishJWTAuthorityRequest } from '../../gen/spire/api/server/bundle/v1/bundle.ts';
import type { NewDownstreamX509CARequest } from '../../gen/spire/api/server/svid/v1/svid.ts';
import type { JWTKey } from '../../gen/spire/api/types/types.ts';
import type { CallContext } from '../../rpc/call.ts';
import { type Bundle, type JwtAuthority, jwtAuthorityOf } from '../../spiffe/bundle.ts';
import type { RegistrationEntry } from '../../spiffe/entry.ts';
import { isSpiffeError, SpiffeError } from '../../spiffe/error.ts';
import { quoteText } from '../../spiffe/quote-text.ts';
import { publicKeyOfSpki } from '../../x509/spki.ts';
import type { SvidIssuer } from '../ca/svid-issuer.ts';
import type { KeysFromBelow } from './keys-from-below.ts';
import { requireCsr } from './require-csr.ts';

// What a server below this one asks for. Inventory R013, R056.

export interface DownstreamDeps {
  readonly issuer: SvidIssuer;
  readonly bundle: { readonly current: Bundle };
  readonly keysFromBelow: KeysFromBelow;
  /** The entries that make the caller a downstream server. */
  readonly downstreamEntries: (context: CallContext) => readonly RegistrationEntry[];
  readonly clock: () => Date;
}

const MAX_KEY_ID_CHARACTERS = 1_024;

/** Only the key of the CSR counts. The entry's TTL goes before the one that the server below would like. */
export async function newDownstreamX509Ca(
  { csr, preferredTtl }: NewDownstreamX509CARequest,
  context: CallContext,
  { issuer, bundle, downstreamEntries }: DownstreamDeps,
) {
  const [entry] = downstreamEntries(context);
  const { subjectPublicKeyInfo: publicKey } = await requireCsr(csr);
  if (preferredTtl < 0) throw new SpiffeError('ARGUMENT_INVALID', `the preferred TTL ${preferredTtl} is negative`);
  if (entry === undefined) throw new SpiffeError('PERMISSION_DENIED', 'the caller is not a downstream server');
  const ttlSeconds = entry.x509SvidTtlSeconds || preferredTtl || undefined;
  const caCertChain = await issuer.issueDownstreamCa({ publicKey, ttlSeconds });
  const x509Authorities = bundle.current.x509Authorities.map(({ certificate }) => certificate);
  return { caCertChain: [...caCertChain], x509Authorities };
}

export async function publishJwtAuthority(
  { jwtAuthority }: PublishJWTAuthorityRequest,
  context: CallContext,
  { bundle, keysFromBelow, downstreamEntries, clock }: DownstreamDeps,
) {
  const [entry] = downstreamEntries(context);
  if (entry === undefined) throw new SpiffeError('PERMISSION_DENIED', 'the caller is not a downstream server');
  const key = parseJwtKey(jwtAuthority, clock());
  const known = jwtAuthorityOf(bundle.current, key.keyId);
  if (known !== undefined && Buffer.compare(known.publicKey, key.publicKey) !== 0) {
    throw new SpiffeError('ALREADY_EXISTS', `another JWT authority has the key ID ${quoteText(key.keyId)}`);
  }
  const keys = await keysFromBelow.publish(entry.spiffeId, key);
  return { jwtAuthorities: keys.map((one) => ({ ...one, expiresAt: BigInt(one.expiresAt) })) };
}

/** A server below says nothing of taint. @throws SpiffeError `ARGUMENT_INVALID` */
function parseJwtKey(key: JWTKey | undefined, now: Date): JwtAuthority {
  if (key === undefined) throw new SpiffeError('ARGUMENT_INVALID', 'missing JWT authority');
  const { keyId, publicKey } = key;
  if (keyId === '') throw invalid('missing key ID');
  if (keyId.length > MAX_KEY_ID_CHARACTERS) {
    throw invalid(`its key ID has ${keyId.length} characters, more than ${MAX_KEY_ID_CHARACTERS}`);
  }
  const expiresAt = Number(key.expiresAt);
  if (!Number.isSafeInteger(expiresAt) || expiresAt < 0) throw invalid(`its expiry ${key.expiresAt} is no time`);
  if (expiresAt !== 0 && expiresAt * 1000 <= now.getTime()) throw invalid(`it expired at ${expiresAt}`);
  try {
    publicKeyOfSpki(publicKey);
  } catch (cause) {
    if (!isSpiffeError(cause)) throw cause;
    throw invalid(cause.message, cause);
  }
  return { keyId, publicKey: new Uint8Array(publicKey), expiresAt, tainted: false };
}

function invalid(reason: string, cause?: unknown): SpiffeError {
  return new SpiffeError('ARGUMENT_INVALID', `invalid JWT authority: ${reason}`, { cause });
}
