import type { KeyObject } from 'node:crypto';
import { type Signer, signMessage } from '../x509/signer.ts';
import { publicKeyOfSpki } from '../x509/spki.ts';
import { type Bundle, jwtAuthorityOf } from './bundle.ts';
import { isSpiffeError, SpiffeError } from './error.ts';
import { isJoseAlgorithm, isKeyFor, type JoseAlgorithm, joseAlgorithmOf, toJoseSignature, verifyJose } from './jose.ts';
import { quoteText } from './quote-text.ts';
import { parseSpiffeId, type SpiffeId, trustDomainOf } from './spiffe-id.ts';
import type { TrustDomain } from './trust-domain.ts';

/** What a JWT-SVID says, after {@link validateJwtSvid}. */
export interface JwtSvid {
  readonly spiffeId: SpiffeId;
  readonly audience: readonly string[];
  readonly expiresAt: Date;
  /** All of the payload. */
  readonly claims: Readonly<Record<string, unknown>>;
  readonly token: string;
}

/** The payload of a token to be signed, with the names and units of RFC 7519 §4.1. */
export interface JwtSvidClaims {
  readonly sub: SpiffeId;
  readonly aud: readonly string[];
  /** Unix seconds. */
  readonly exp: number;
  /** Unix seconds. */
  readonly iat?: number;
  readonly iss?: string;
  readonly jti?: string;
  readonly [name: string]: unknown;
}

/** Longer text is refused unread: it would not fit into an HTTP header either. */
const MAX_TOKEN_CHARACTERS = 64 * 1024;
/** Clocks of nodes differ; go-spiffe and SPIRE allow one minute, so a token is good or bad everywhere alike. */
const LEEWAY_SECONDS = 60;

/**
 * Validates a token in JWS Compact Serialization for one audience.
 *
 * @param bundles the bundle of a trust domain, where it is trusted
 * @throws SpiffeError `SVID_INVALID`, naming the first rule broken; `ARGUMENT_INVALID` for an empty audience
 * @see JWT-SVID §2 (header), §3 (claims), §4 (validation); `kid` must be there, as go-spiffe and SPIRE want it
 */
export function validateJwtSvid(
  token: string,
  audience: string,
  bundles: (trustDomain: TrustDomain) => Bundle | undefined,
  now: Date,
): JwtSvid {
  if (audience === '') throw new SpiffeError('ARGUMENT_INVALID', 'audience is empty');
  const { algorithm, keyId, svid, signedText, signature } = parseToken(token);
  const trustDomain = trustDomainOf(svid.spiffeId);
  const bundle = bundles(trustDomain);
  if (bundle === undefined) throw invalid(`no bundle of trust domain "${trustDomain}" is known`);
  const authority = jwtAuthorityOf(bundle, keyId);
  if (authority === undefined)
    throw invalid(`key ${quoteText(keyId)} is not in the bundle of trust domain "${trustDomain}"`);
  // What it signed in its time has ended with it, so a token that has not was signed by whoever took the key.
  if (authority.expiresAt !== 0 && now.getTime() / 1000 - LEEWAY_SECONDS >= authority.expiresAt) {
    throw invalid(`key ${quoteText(keyId)} of trust domain "${trustDomain}" has ended`);
  }
  const key = keyObjectOf(authority.publicKey);
  if (!isKeyFor(algorithm, key)) throw invalid(`key ${quoteText(keyId)} is not of the kind that ${algorithm} wants`);
  if (!verifyJose(algorithm, key, Buffer.from(signedText), signature)) {
    throw invalid(`signature is not by the key ${quoteText(keyId)} of trust domain "${trustDomain}"`);
  }
  requireTimely(svid, now);
  if (!svid.audience.includes(audience)) {
    throw invalid(
      `audience ${quoteText(audience)} is not in the token, which is for ${quoteText(svid.audience.join(', '))}`,
    );
  }
  return svid;
}

/**
 * Reads a token whose sender is trusted, such as our own server: its signature and times are not looked at.
 *
 * @throws SpiffeError `SVID_INVALID`
 */
export function decodeUnverifiedJwtSvid(token: string): JwtSvid {
  return parseToken(token).svid;
}

/** The authority that a token names, unverified. @throws SpiffeError `SVID_INVALID` for what is no token */
export function keyIdOfJwtSvid(token: string): string {
  return parseToken(token).keyId;
}

/**
 * Signs a token with ES256, ES384 or RS256, as the key wants.
 *
 * @throws SpiffeError `ARGUMENT_INVALID` for claims that are no JWT-SVID
 * @see JWT-SVID §2, §3, §5.1
 */
export async function signJwtSvid(claims: JwtSvidClaims, keyId: string, signer: Signer): Promise<string> {
  if (keyId === '') throw new SpiffeError('ARGUMENT_INVALID', 'key ID is empty');
  if (claims.aud.length === 0) throw new SpiffeError('ARGUMENT_INVALID', 'audience of a JWT-SVID is empty');
  if (!Number.isSafeInteger(claims.exp) || claims.exp <= 0) {
    throw new SpiffeError('ARGUMENT_INVALID', `expiry ${claims.exp} is not in Unix seconds`);
  }
  parseSpiffeId(claims.sub);
  const alg = joseAlgorithmOf(signer.keyType);
  const signedText = `${encodePart({ alg, kid: keyId, typ: 'JWT' })}.${encodePart(claims)}`;
  const signature = toJoseSignature(alg, await signMessage(signer, Buffer.from(signedText)));
  return `${signedText}.${Buffer.from(signature).toString('base64url')}`;
}

function encodePart(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

interface ParsedToken {
  readonly algorithm: JoseAlgorithm;
  readonly keyId: string;
  readonly svid: JwtSvid;
  readonly signedText: string;
  readonly signature: Uint8Array;
}

function parseToken(token: string): ParsedToken {
  if (token.length > MAX_TOKEN_CHARACTERS) {
    throw invalid(`token has ${token.length} characters: ${MAX_TOKEN_CHARACTERS} at most`);
  }
  const [header = '', payload = '', signature = '', ...more] = token.split('.');
  if (header === '' || payload === '' || signature === '' || more.length > 0) {
    throw invalid('token is not three parts with dots between them'); // §5.1
  }
  const { alg, kid, typ, crit } = decodeObject(header, 'header');
  if (!isJoseAlgorithm(alg))
    throw invalid(`algorithm ${describe(alg)} is not one of RS, ES and PS with 256, 384 or 512`); // §2.1
  if (typ !== undefined && typ !== 'JWT' && typ !== 'JOSE')
    throw invalid(`type ${describe(typ)} is not "JWT" or "JOSE"`); // §2.3
  if (crit !== undefined) throw invalid('header has "crit", which wants something that is not understood'); // RFC 7515 §4.1.11
  if (typeof kid !== 'string' || kid === '') throw invalid('header names no key by "kid"'); // §2.2
  const claims = decodeObject(payload, 'payload');
  return {
    algorithm: alg,
    keyId: kid,
    svid: { spiffeId: subjectOf(claims), audience: audienceOf(claims), expiresAt: expiryOf(claims), claims, token },
    signedText: `${header}.${payload}`,
    signature: decodeBase64Url(signature, 'signature'),
  };
}

/** @see JWT-SVID §3.1 */
function subjectOf({ sub }: Readonly<Record<string, unknown>>): SpiffeId {
  if (typeof sub !== 'string') throw invalid('claim "sub" is missing or no text');
  try {
    return parseSpiffeId(sub);
  } catch (cause) {
    if (!isSpiffeError(cause)) throw cause;
    throw new SpiffeError('SVID_INVALID', `claim "sub" is no SPIFFE ID: ${cause.message}`, { cause });
  }
}

/** @see JWT-SVID §3.2; RFC 7519 §4.1.3 */
function audienceOf({ aud }: Readonly<Record<string, unknown>>): readonly string[] {
  const audience: unknown = typeof aud === 'string' ? [aud] : aud;
  if (!Array.isArray(audience) || audience.length === 0) throw invalid('claim "aud" is missing or empty');
  if (!audience.every((value) => typeof value === 'string')) throw invalid('claim "aud" has a value that is no text');
  return audience;
}

/** @see JWT-SVID §3.3; RFC 7519 §4.1.4 */
function expiryOf(claims: Readonly<Record<string, unknown>>): Date {
  const seconds = findTime(claims, 'exp');
  if (seconds === undefined) throw invalid('claim "exp" is missing');
  return new Date(Math.trunc(seconds) * 1000);
}

function findTime(claims: Readonly<Record<string, unknown>>, name: 'exp' | 'nbf' | 'iat'): number | undefined {
  const value = claims[name];
  if (value === undefined) return undefined;
  if (typeof value !== 'number' || Math.abs(value) > MAX_TIME_SECONDS)
    throw invalid(`claim "${name}" is no time in Unix seconds`);
  return value;
}

/** The end of what a `Date` can hold, in seconds. */
const MAX_TIME_SECONDS = 8.64e12;

/** @see JWT-SVID §4; RFC 7519 §4.1.4 (exp), §4.1.5 (nbf), §4.1.6 (iat) */
function requireTimely({ expiresAt, claims }: JwtSvid, now: Date): void {
  const nowSeconds = now.getTime() / 1000;
  if (nowSeconds - LEEWAY_SECONDS >= expiresAt.getTime() / 1000) {
    throw invalid(`token expired at ${expiresAt.toISOString()}, it is ${now.toISOString()}`);
  }
  const notBefore = findTime(claims, 'nbf');
  if (notBefore !== undefined && nowSeconds + LEEWAY_SECONDS < notBefore) {
    throw invalid(`token is not valid before ${new Date(notBefore * 1000).toISOString()}, it is ${now.toISOString()}`);
  }
  const issuedAt = findTime(claims, 'iat');
  if (issuedAt !== undefined && nowSeconds + LEEWAY_SECONDS < issuedAt) {
    throw invalid(`token was issued at ${new Date(issuedAt * 1000).toISOString()}, it is only ${now.toISOString()}`);
  }
}

function decodeObject(part: string, what: string): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(decodeBase64Url(part, what)));
  } catch (cause) {
    if (isSpiffeError(cause)) throw cause;
    throw new SpiffeError('SVID_INVALID', `${what} of the token is no JSON`, { cause });
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw invalid(`${what} of the token is no JSON object`);
  return value as Readonly<Record<string, unknown>>;
}

/** Only the one way to write the bytes: RFC 7515 §2. */
function decodeBase64Url(part: string, what: string): Uint8Array {
  const bytes = Buffer.from(part, 'base64url');
  if (bytes.toString('base64url') !== part) throw invalid(`${what} of the token is not base64url`);
  return new Uint8Array(bytes);
}

const keyObjects = new WeakMap<Uint8Array, KeyObject>();

/** Bundles are immutable values that live long, so each key is decoded once. */
function keyObjectOf(publicKey: Uint8Array): KeyObject {
  const known = keyObjects.get(publicKey);
  if (known) return known;
  const key = publicKeyOfSpki(publicKey);
  keyObjects.set(publicKey, key);
  return key;
}

function describe(value: unknown): string {
  return value === undefined ? '(none)' : quoteText(typeof value === 'string' ? value : JSON.stringify(value));
}

function invalid(message: string): SpiffeError {
  return new SpiffeError('SVID_INVALID', `JWT-SVID refused: ${message}`);
}
