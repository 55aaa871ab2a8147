import { SpiffeError, z } from '../../plugin-sdk/index.ts';

/** What the agent's half says, once: JSON as SPIRE's halves have it. */
export interface PsatPayload {
  /** Of the server's configuration. */
  readonly cluster: string;
  /** The projected service account token, a JWT: a secret. */
  readonly token: string;
}

/** A token has about a kilobyte. */
export const MAX_PAYLOAD_BYTES = 64 * 1024;
const MAX_CLUSTER_CHARACTERS = 255;

const payload = z.object({ cluster: z.string().max(MAX_CLUSTER_CHARACTERS), token: z.string() });
/** RFC 7515 §7.1: three parts in base64url. */
const JWS = /^[\w-]+\.[\w-]+\.[\w-]+$/;

export function encodePayload({ cluster, token }: PsatPayload): Uint8Array {
  return new Uint8Array(Buffer.from(JSON.stringify({ cluster, token }), 'utf8'));
}

/** @throws SpiffeError `ARGUMENT_INVALID`, which never quotes the token */
export function decodePayload(bytes: Uint8Array): PsatPayload {
  if (bytes.length > MAX_PAYLOAD_BYTES) {
    throw invalid(`has ${bytes.length} bytes, at most ${MAX_PAYLOAD_BYTES} are read`);
  }
  const { success, data } = payload.safeParse(parseJson(bytes));
  if (!success) throw invalid('is no JSON object with a text in "cluster" and in "token": is it another attestor’s?');
  const { cluster, token } = { ...data, token: data.token.trim() };
  if (cluster === '') throw invalid('names no cluster: set "cluster" of the agent’s plugin');
  if (token === '') throw invalid('has no token: is the file of "token_path" empty?');
  if (!JWS.test(token)) throw invalid('has a token that is no JWT: is "token_path" that of a projected token?');
  return { cluster, token };
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    throw invalid('is no JSON text: is it another attestor’s, or cut off?');
  }
}

function invalid(what: string): SpiffeError {
  return new SpiffeError('ARGUMENT_INVALID', `the k8s_psat payload ${what}`);
}
