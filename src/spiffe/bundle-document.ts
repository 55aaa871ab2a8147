import { createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto';
import { parseCertificate } from '../x509/certificate.ts';
import { decodePem, encodePem } from '../x509/pem.ts';
import { publicKeyOfSpki } from '../x509/spki.ts';
import { type Bundle, emptyBundle, type JwtAuthority, type X509Authority } from './bundle.ts';
import { isSpiffeError, SpiffeError } from './error.ts';
import { quoteText } from './quote-text.ts';
import type { TrustDomain } from './trust-domain.ts';

const MAX_DOCUMENT_CHARACTERS = 4 * 1024 * 1024;
const MAX_KEYS = 1024;
const MAX_KEY_ID_CHARACTERS = 1024;
const MAX_SEQUENCE = 2n ** 64n - 1n;
/** Parameters of a private or a symmetric key. Source: RFC 7518 §6.2.2, §6.3.2, §6.4.1. */
const PRIVATE_PARAMETERS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k'] as const;

type Jwk = Readonly<Record<string, unknown>>;

/**
 * A JWK Set: an entry for each authority, then `spiffe_sequence` and `spiffe_refresh_hint` where they are not 0.
 *
 * @see SPIFFE Trust Domain and Bundle §4; X509-SVID §6.1; JWT-SVID §6.1
 */
export function formatBundleDocument(bundle: Bundle): string {
  const keys = [
    ...x509Keys(bundle).map((key) => ({ use: 'x509-svid', ...key })),
    ...jwtKeys(bundle).map((key) => ({ use: 'jwt-svid', ...key })),
  ];
  const members = [`"keys": ${JSON.stringify(keys, null, 2).replaceAll('\n', '\n  ')}`];
  if (bundle.sequenceNumber !== 0n) members.push(`"spiffe_sequence": ${bundle.sequenceNumber}`);
  if (bundle.refreshHintSeconds !== 0) members.push(`"spiffe_refresh_hint": ${bundle.refreshHintSeconds}`);
  return `{\n  ${members.join(',\n  ')}\n}\n`;
}

/** A JWK Set without what SPIFFE adds: no use of any key, nothing beside the keys. @see RFC 7517 §5 */
export function formatBundleJwks(bundle: Bundle): string {
  return `${JSON.stringify({ keys: [...x509Keys(bundle), ...jwtKeys(bundle)] }, null, 2)}\n`;
}

function x509Keys({ x509Authorities }: Bundle): readonly Jwk[] {
  return x509Authorities.map(({ certificate }) => {
    const key = createPublicKeyOf(parseCertificate(certificate).subjectPublicKeyInfo);
    return { ...key.export({ format: 'jwk' }), x5c: [Buffer.from(certificate).toString('base64')] };
  });
}

function jwtKeys({ jwtAuthorities }: Bundle): readonly Jwk[] {
  return jwtAuthorities.map(({ keyId, publicKey }) => ({
    ...createPublicKeyOf(publicKey).export({ format: 'jwk' }),
    kid: keyId,
  }));
}

function createPublicKeyOf(spki: Uint8Array): KeyObject {
  return createPublicKey({ key: Buffer.from(spki), type: 'spki', format: 'der' });
}

/**
 * Reads a JWK Set. Entries of an unknown use or key type are passed over, as are entries without `x5c` or `kid`.
 *
 * @param trustDomain the document does not name it
 * @throws SpiffeError `BUNDLE_INVALID`, naming the entry and the rule; also for private key material
 * @see SPIFFE Trust Domain and Bundle §4.1, §4.2; X509-SVID §6.2; JWT-SVID §6.2
 */
export function parseBundleDocument(text: string, trustDomain: TrustDomain): Bundle {
  const document = parseObject(text);
  const { keys } = document;
  if (!Array.isArray(keys)) throw invalid('"keys" is missing or no list'); // §4.1.3
  if (keys.length > MAX_KEYS) throw invalid(`"keys" has ${keys.length} entries: ${MAX_KEYS} at most`);
  const x509Authorities: X509Authority[] = [];
  const jwtAuthorities: JwtAuthority[] = [];
  for (const [index, jwk] of keys.entries()) {
    if (!isObject(jwk)) throw invalid(`keys[${index}] is no JSON object`);
    requirePublic(jwk, index);
    if (jwk.kty !== 'EC' && jwk.kty !== 'RSA') continue; // §4.2.1
    if (jwk.use === 'x509-svid') x509Authorities.push(...readX509Authority(jwk, index));
    if (jwk.use === 'jwt-svid') jwtAuthorities.push(...readJwtAuthority(jwk, index)); // §4.2.2: other uses are ignored
  }
  const keyIds = jwtAuthorities.map(({ keyId }) => keyId);
  const repeated = keyIds.find((keyId, index) => keyIds.indexOf(keyId) !== index);
  if (repeated !== undefined) throw invalid(`key ID ${quoteText(repeated)} names two keys`);
  return {
    trustDomain,
    x509Authorities,
    jwtAuthorities,
    refreshHintSeconds: refreshHintOf(document),
    sequenceNumber: sequenceOf(document),
  };
}

function parseObject(text: string): Jwk {
  if (text.length > MAX_DOCUMENT_CHARACTERS) {
    throw invalid(`document has ${text.length} characters: ${MAX_DOCUMENT_CHARACTERS} at most`);
  }
  let document: unknown;
  try {
    document = JSON.parse(text, keepSequence);
  } catch (cause) {
    throw new SpiffeError('BUNDLE_INVALID', 'bundle document is no JSON', { cause });
  }
  if (!isObject(document)) throw invalid('document is no JSON object');
  return document;
}

/** The sequence number has 64 bits (§4.1.1), more than a number of JavaScript keeps. */
function keepSequence(key: string, value: unknown, context?: { readonly source?: string }): unknown {
  const source = context?.source;
  return key === 'spiffe_sequence' && source !== undefined && /^-?\d{1,20}$/.test(source) ? BigInt(source) : value;
}

function sequenceOf({ spiffe_sequence: sequence = 0n }: Jwk): bigint {
  if (typeof sequence !== 'bigint' || sequence < 0n || sequence > MAX_SEQUENCE) {
    throw invalid('"spiffe_sequence" is no whole number of 64 bits'); // §4.1.1
  }
  return sequence;
}

function refreshHintOf({ spiffe_refresh_hint: hint = 0 }: Jwk): number {
  if (typeof hint !== 'number' || !Number.isSafeInteger(hint) || hint < 0) {
    throw invalid('"spiffe_refresh_hint" is no whole number of seconds'); // §4.1.2
  }
  return hint;
}

function requirePublic(jwk: Jwk, index: number): void {
  const secret = PRIVATE_PARAMETERS.find((name) => jwk[name] !== undefined);
  if (secret === undefined) return;
  throw invalid(`keys[${index}] has "${secret}", a part of a private key: replace that key, it is no longer secret`);
}

/** X509-SVID §6.2: the first value of `x5c` counts; without one, the entry is ignored. */
function readX509Authority(jwk: Jwk, index: number): readonly X509Authority[] {
  const x5c = jwk.x5c;
  if (x5c === undefined || (Array.isArray(x5c) && x5c.length === 0)) return [];
  const first: unknown = Array.isArray(x5c) ? x5c[0] : undefined;
  if (typeof first !== 'string') throw invalid(`keys[${index}].x5c is no list of base64 texts`);
  const certificate = Buffer.from(first, 'base64');
  if (certificate.toString('base64') !== first) throw invalid(`keys[${index}].x5c[0] is not base64`);
  return [{ certificate: requireCertificate(new Uint8Array(certificate), `keys[${index}].x5c[0]`), tainted: false }];
}

/** JWT-SVID §6.2: without `kid`, the entry is ignored. */
function readJwtAuthority(jwk: Jwk, index: number): readonly JwtAuthority[] {
  const keyId = jwk.kid;
  if (keyId === undefined || keyId === '') return [];
  if (typeof keyId !== 'string' || keyId.length > MAX_KEY_ID_CHARACTERS) {
    throw invalid(`keys[${index}].kid is no text of ${MAX_KEY_ID_CHARACTERS} characters at most`);
  }
  try {
    const key = createPublicKey({ key: jwk as JsonWebKey, format: 'jwk' });
    const publicKey = new Uint8Array(key.export({ type: 'spki', format: 'der' }));
    publicKeyOfSpki(publicKey);
    return [{ keyId, publicKey, expiresAt: 0, tainted: false }];
  } catch (cause) {
    throw new SpiffeError('BUNDLE_INVALID', `bundle document: keys[${index}] is no public key that can be used`, {
      cause,
    });
  }
}

/**
 * Reads the X.509 authorities of a trust domain from PEM certificates, one at least.
 *
 * @throws SpiffeError `BUNDLE_INVALID`
 */
export function parseBundlePem(text: string, trustDomain: TrustDomain): Bundle {
  const ders = decodePemOrRefuse(text);
  if (ders.length === 0) throw new SpiffeError('BUNDLE_INVALID', 'bundle has no PEM block "CERTIFICATE"');
  const certificates = ders.map((der, index) => requireCertificate(der, `certificate ${index + 1}`));
  return {
    ...emptyBundle(trustDomain),
    x509Authorities: certificates.map((certificate) => ({ certificate, tainted: false })),
  };
}

/** The X.509 authorities as PEM certificates. */
export function formatBundlePem(bundle: Bundle): string {
  return bundle.x509Authorities.map(({ certificate }) => encodePem('CERTIFICATE', certificate)).join('');
}

function decodePemOrRefuse(text: string): readonly Uint8Array[] {
  try {
    return decodePem(text, 'CERTIFICATE');
  } catch (cause) {
    if (!isSpiffeError(cause)) throw cause;
    throw new SpiffeError('BUNDLE_INVALID', `bundle is no PEM: ${cause.message}`, { cause });
  }
}

function requireCertificate(der: Uint8Array, what: string): Uint8Array {
  try {
    return parseCertificate(der).der;
  } catch (cause) {
    if (!isSpiffeError(cause)) throw cause;
    throw new SpiffeError('BUNDLE_INVALID', `bundle: ${what} cannot be read: ${cause.message}`, { cause });
  }
}

function isObject(value: unknown): value is Jwk {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function invalid(message: string): SpiffeError {
  return new SpiffeError('BUNDLE_INVALID', `bundle document: ${message}`);
}
