import { encodeJsonMessage, JsonMessage } from '../../plugin-sdk/index.ts';
import { MAX_CERTIFICATE_BYTES } from './ssh-certificate.ts';
import type { SshSignature } from './ssh-signature.ts';

export interface HostResponse {
  readonly nonce: Uint8Array;
  readonly signature: SshSignature;
}

export const NONCE_BYTES = 32;
const MAX_MESSAGE_BYTES = { payload: 65_536, challenge: 1024, response: 8192 } as const;
const MAX_FORMAT_LENGTH = 64;
const MAX_SIGNATURE_BYTES = 2048;

/** JSON as Go writes SPIRE's structures, which have no names of fields of their own. */
export function encodePayload(certificate: Uint8Array): Uint8Array {
  return encodeJsonMessage({ Certificate: certificate });
}

/** @throws SpiffeError `ARGUMENT_INVALID`, `TOO_LARGE` */
export function decodePayload(bytes: Uint8Array): Uint8Array {
  const message = JsonMessage.decode(bytes, { name: 'the payload of sshpop', maxBytes: MAX_MESSAGE_BYTES.payload });
  return message.bytes('Certificate', MAX_CERTIFICATE_BYTES);
}

export function encodeChallenge(nonce: Uint8Array): Uint8Array {
  return encodeJsonMessage({ Nonce: nonce });
}

/** @throws SpiffeError `ARGUMENT_INVALID`, `TOO_LARGE` */
export function decodeChallenge(bytes: Uint8Array): Uint8Array {
  const message = JsonMessage.decode(bytes, {
    name: 'the challenge of sshpop',
    maxBytes: MAX_MESSAGE_BYTES.challenge,
    fields: ['Nonce'],
  });
  return message.bytes('Nonce', NONCE_BYTES);
}

export function encodeResponse({ nonce, signature: { format, blob } }: HostResponse): Uint8Array {
  return encodeJsonMessage({ Nonce: nonce, Signature: { Format: format, Blob: blob, Rest: undefined } });
}

/** @throws SpiffeError `ARGUMENT_INVALID`, `TOO_LARGE` */
export function decodeResponse(bytes: Uint8Array): HostResponse {
  const message = JsonMessage.decode(bytes, {
    name: 'the answer of sshpop',
    maxBytes: MAX_MESSAGE_BYTES.response,
    fields: ['Nonce', 'Signature'],
  });
  const signature = message.object('Signature', ['Format', 'Blob', 'Rest']);
  return {
    nonce: message.bytes('Nonce', NONCE_BYTES),
    signature: {
      format: signature.text('Format', MAX_FORMAT_LENGTH),
      blob: signature.bytes('Blob', MAX_SIGNATURE_BYTES),
    },
  };
}
