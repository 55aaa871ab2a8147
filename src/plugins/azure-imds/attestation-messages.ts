import { SpiffeError, z } from '../../plugin-sdk/index.ts';

/** What an agent sends first, so that the server gives it a nonce; its text is SPIRE's, and nobody's concern. */
export const FIRST_PAYLOAD: Uint8Array = new Uint8Array(Buffer.from('non_empty_payload'));

/** As the metadata service gives it. */
export interface AttestedDocument {
  /** `pkcs7`. */
  readonly encoding: string;
  /** Base64: PKCS #7 with the document in it. */
  readonly signature: string;
}

/** Agent to server, in answer to the nonce. */
export interface AttestationResponse extends AttestedDocument {
  /** Which of the server's tenants to look into; proved by nothing. */
  readonly agentDomain: string;
  /** Which scale set to look into, undefined for none; proved by nothing. */
  readonly scaleSetName: string | undefined;
}

/** Azure's documents have about 8 kB. */
export const MAX_RESPONSE_BYTES = 128 * 1024;

const shape = z.object({
  document: z.object({ encoding: z.string().default(''), signature: z.string().min(1) }),
  metadata: z.object({ agentDomain: z.string().max(256), vmssName: z.string().nullish() }),
});

export function isNonce(text: string): boolean {
  return /^[A-Za-z0-9]{1,64}$/.test(text);
}

/** JSON as Go's encoding/json writes SPIRE's structure. */
export function encodeResponse({ encoding, signature, agentDomain, scaleSetName }: AttestationResponse): Uint8Array {
  const message = {
    document: { encoding, signature },
    metadata: { agentDomain, vmssName: scaleSetName ?? null },
  };
  return new Uint8Array(Buffer.from(JSON.stringify(message), 'utf8'));
}

/** @throws SpiffeError `ARGUMENT_INVALID` */
export function decodeResponse(bytes: Uint8Array): AttestationResponse {
  const refuse = (what: string, cause?: unknown) =>
    new SpiffeError('ARGUMENT_INVALID', `the azure_imds response ${what}`, { cause });
  if (bytes.length > MAX_RESPONSE_BYTES) {
    throw refuse(`has ${bytes.length} bytes, at most ${MAX_RESPONSE_BYTES} are read`);
  }
  let fields: unknown;
  try {
    fields = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw refuse('is no JSON text', cause);
  }
  const parsed = shape.safeParse(fields);
  if (!parsed.success) throw refuse(`has no good "${parsed.error.issues[0]?.path.join('.') ?? ''}"`);
  const { document, metadata } = parsed.data;
  return { ...document, agentDomain: metadata.agentDomain, scaleSetName: metadata.vmssName ?? undefined };
}
