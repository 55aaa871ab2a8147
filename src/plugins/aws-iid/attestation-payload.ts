import { SpiffeError, z } from '../../plugin-sdk/index.ts';

/** Agent to server, in JSON, as SPIRE's halves send it. */
export interface AttestationPayload {
  /** As the instance's metadata has it, to the octet: that is what AWS signed. */
  readonly document: string;
  /** Base64, by an RSA key of 1024 bits; for old servers of SPIRE, not looked at here. */
  readonly signature: string;
  /** Base64: PKCS #7 with the document in it, by an RSA key of 2048 bits. */
  readonly rsa2048: string;
}

/** AWS' have about 3 kB. */
export const MAX_PAYLOAD_BYTES = 64 * 1024;

const shape = z.object({
  document: z.string().min(1),
  signature: z.string().default(''),
  rsa2048: z.string().default(''),
});

export function encodePayload(payload: AttestationPayload): Uint8Array {
  return new Uint8Array(Buffer.from(JSON.stringify(payload), 'utf8'));
}

/** @throws SpiffeError `ARGUMENT_INVALID` */
export function decodePayload(bytes: Uint8Array): AttestationPayload {
  const refuse = (what: string, cause?: unknown) =>
    new SpiffeError('ARGUMENT_INVALID', `the aws_iid payload ${what}`, { cause });
  if (bytes.length > MAX_PAYLOAD_BYTES) {
    throw refuse(`has ${bytes.length} bytes, at most ${MAX_PAYLOAD_BYTES} are read`);
  }
  let fields: unknown;
  try {
    fields = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw refuse('is no JSON text: is it another attestor’s?', cause);
  }
  const parsed = shape.safeParse(fields);
  if (!parsed.success) throw refuse(`has no good "${parsed.error.issues[0]?.path.join('.') ?? ''}"`);
  if (parsed.data.rsa2048 === '') {
    throw refuse(
      'has no "rsa2048": a signature by AWS’ keys of 1024 bits is not taken, agents of SPIRE send both from 1.6 on',
    );
  }
  return parsed.data;
}
