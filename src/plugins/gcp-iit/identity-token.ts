import { type KeyObject, verify } from 'node:crypto';
import { quoteText, SpiffeError, z } from '../../plugin-sdk/index.ts';

/** Of the tokens that both of SPIRE's halves use. */
export const TOKEN_AUDIENCE = 'spire-gcp-node-attestor';
/** Google's have about 1.5 kB. */
export const MAX_TOKEN_BYTES = 16 * 1024;
/** Google Cloud, "Verify the identity of VMs": both have been seen. */
const ISSUERS: readonly unknown[] = ['https://accounts.google.com', 'accounts.google.com'];
/** As far as clocks may differ; SPIRE allows as much. */
const LEEWAY_SECONDS = 60;
/** Google's tokens are good for an hour. */
const MAX_LIFETIME_SECONDS = 24 * 60 * 60;

const text = z.string().max(512);
const wholeSeconds = z.int().min(0);

const header = z.object({
  alg: z.unknown(),
  kid: z.string().min(1).max(256),
  crit: z.undefined().optional(),
});
const computeEngine = z.object({
  project_id: text.min(1),
  project_number: z.int().min(0).default(0),
  zone: text.min(1),
  instance_id: text.min(1),
  instance_name: text.min(1),
  instance_creation_timestamp: z.int().default(0),
});
const claims = z.object({
  iss: z.unknown(),
  aud: z.unknown(),
  exp: wholeSeconds,
  iat: wholeSeconds,
  nbf: wholeSeconds.optional(),
  email: text.default(''),
  google: z.object({ compute_engine: computeEngine }),
});

/** What Google says of a virtual machine. */
export type ComputeEngine = z.output<typeof computeEngine>;

export interface IdentityToken {
  readonly computeEngine: ComputeEngine;
  /** Of the service account; empty where the token has none. */
  readonly email: string;
}

/**
 * Verifies an instance identity token: Google's signature, that it is for an attestation, and that it is in its time.
 *
 * @param findKey Google's key of that name
 * @throws SpiffeError `ARGUMENT_INVALID` for what is no such token, `ATTESTATION_DENIED` for one that is not good here
 * @see RFC 7515 §3.1, RFC 7519 §4.1; Google Cloud, "Verify the identity of VMs"
 */
export async function verifyIdentityToken(
  payload: Uint8Array,
  findKey: (keyId: string) => Promise<KeyObject | undefined>,
  now: Date,
): Promise<IdentityToken> {
  if (payload.length > MAX_TOKEN_BYTES) {
    throw invalid(`has ${payload.length} bytes, at most ${MAX_TOKEN_BYTES} are read`);
  }
  const parts = Buffer.from(payload).toString('latin1').split('.');
  const [head = '', body = '', signature = ''] = parts;
  if (parts.length !== 3) throw invalid('is not three parts with dots between them');
  const { alg, kid } = decodePart(head, header, 'header');
  if (alg !== 'RS256') throw invalid(`has the algorithm ${quoteText(String(alg))}, Google signs with RS256`);
  const signatureBytes = decodeBase64Url(signature, 'signature');
  const key = await findKey(kid);
  if (key === undefined) throw denied(`is signed by the key ${quoteText(kid)}, which Google does not list`);
  if (key.asymmetricKeyType !== 'rsa' || !verify('sha256', Buffer.from(`${head}.${body}`), key, signatureBytes)) {
    throw denied(`has a signature that is not by Google’s key ${quoteText(kid)}`);
  }
  const token = decodePart(body, claims, 'payload');
  requireGood(token, now.getTime() / 1000);
  return { computeEngine: token.google.compute_engine, email: token.email };
}

function requireGood({ iss, aud, exp, iat, nbf }: z.output<typeof claims>, nowSeconds: number): void {
  if (!ISSUERS.includes(iss)) throw denied(`is of the issuer ${quoteText(String(iss))}, not of "${ISSUERS[0]}"`);
  const audience: readonly unknown[] = Array.isArray(aud) ? aud : [aud];
  if (!audience.includes(TOKEN_AUDIENCE)) {
    throw denied(`is for the audience ${quoteText(audience.join(', '))}, not for "${TOKEN_AUDIENCE}"`);
  }
  if (exp <= nowSeconds - LEEWAY_SECONDS) throw denied(`expired at ${at(exp)}: are the clocks right?`);
  const start = Math.max(iat, nbf ?? 0);
  if (start > nowSeconds + LEEWAY_SECONDS) throw denied(`is good from ${at(start)} only: are the clocks right?`);
  if (exp - iat > MAX_LIFETIME_SECONDS) throw denied(`is good for ${exp - iat} s, Google’s are for an hour`);
}

function decodePart<T>(part: string, schema: z.ZodType<T>, what: string): T {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(decodeBase64Url(part, what)));
  } catch (cause) {
    if (cause instanceof SpiffeError) throw cause;
    throw invalid(`has a ${what} that is no JSON`, cause);
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const field = issue?.path.join('.') ?? '';
  throw invalid(`has a ${what} without a good "${field}": ask for it with format=full`);
}

/** Without padding, in its one canonical form. */
function decodeBase64Url(part: string, what: string): Uint8Array {
  const bytes = Buffer.from(part, 'base64url');
  if (bytes.length === 0 || bytes.toString('base64url') !== part) throw invalid(`has a ${what} that is no base64url`);
  return bytes;
}

/** For a message; a number in a token may be any. */
function at(seconds: number): string {
  const date = new Date(seconds * 1000);
  return Number.isNaN(date.getTime()) ? String(seconds) : date.toISOString();
}

const invalid = (what: string, cause?: unknown) =>
  new SpiffeError('ARGUMENT_INVALID', `the identity token ${what}`, { cause });
const denied = (what: string) => new SpiffeError('ATTESTATION_DENIED', `the identity token ${what}`);
