import { encodeJsonMessage, JsonMessage } from '../../plugin-sdk/index.ts';

/** How the key proves that it is there; SPIRE knows no other. */
export type ProofKind = 'rsa' | 'ecdsa';

/** Over the server's nonce and the agent's. */
export type Proof =
  | { readonly kind: 'rsa'; readonly nonce: Uint8Array; readonly signature: Uint8Array }
  /** Big-endian, leading zeros left out. */
  | { readonly kind: 'ecdsa'; readonly nonce: Uint8Array; readonly r: Uint8Array; readonly s: Uint8Array };

export interface ProofChallenge {
  readonly kind: ProofKind;
  readonly nonce: Uint8Array;
}

export const NONCE_BYTES = 32;
const MAX_MESSAGE_BYTES = { payload: 262_144, challenge: 1024, response: 8192 } as const;
const MAX_CERTIFICATE_BYTES = 16_384;
/** RSA of 8192 bits. */
const MAX_SIGNATURE_BYTES = 1024;
/** A coordinate of P-521. */
const MAX_INTEGER_BYTES = 66;

const FIELDS = { rsa: 'rsa_signature', ecdsa: 'ecdsa_signature' } as const;
const fields = Object.values(FIELDS);

/** @param certificates DER, leaf first */
export function encodePayload(certificates: readonly Uint8Array[]): Uint8Array {
  return encodeJsonMessage({ certificates });
}

/** @throws SpiffeError `ARGUMENT_INVALID`, `TOO_LARGE` */
export function decodePayload(bytes: Uint8Array, maxCertificates: number): readonly Uint8Array[] {
  const message = JsonMessage.decode(bytes, { name: 'the payload of x509pop', maxBytes: MAX_MESSAGE_BYTES.payload });
  return message.listOfBytes('certificates', { count: maxCertificates, bytes: MAX_CERTIFICATE_BYTES });
}

export function encodeChallenge({ kind, nonce }: ProofChallenge): Uint8Array {
  return encodeJsonMessage({ [FIELDS.rsa]: undefined, [FIELDS.ecdsa]: undefined, [FIELDS[kind]]: { nonce } });
}

/** @throws SpiffeError `ARGUMENT_INVALID`, `TOO_LARGE` */
export function decodeChallenge(bytes: Uint8Array, kind: ProofKind): ProofChallenge {
  const name = 'the challenge of x509pop';
  const message = JsonMessage.decode(bytes, { name, maxBytes: MAX_MESSAGE_BYTES.challenge, fields });
  return { kind, nonce: message.object(FIELDS[kind], ['nonce']).bytes('nonce', NONCE_BYTES) };
}

export function encodeResponse(proof: Proof): Uint8Array {
  const { kind, ...proved } = proof;
  return encodeJsonMessage({ [FIELDS.rsa]: undefined, [FIELDS.ecdsa]: undefined, [FIELDS[kind]]: proved });
}

/** @throws SpiffeError `ARGUMENT_INVALID`, `TOO_LARGE` */
export function decodeResponse(bytes: Uint8Array, kind: ProofKind): Proof {
  const name = 'the answer of x509pop';
  const both = JsonMessage.decode(bytes, { name, maxBytes: MAX_MESSAGE_BYTES.response, fields });
  const message = both.object(FIELDS[kind], kind === 'rsa' ? ['nonce', 'signature'] : ['nonce', 'r', 's']);
  const nonce = message.bytes('nonce', NONCE_BYTES);
  if (kind === 'rsa') return { kind, nonce, signature: message.bytes('signature', MAX_SIGNATURE_BYTES) };
  const integer = (field: 'r' | 's') => message.bytes(field, MAX_INTEGER_BYTES);
  return { kind, nonce, r: integer('r'), s: integer('s') };
}
