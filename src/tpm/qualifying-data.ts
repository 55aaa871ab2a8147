import { createHash } from 'node:crypto';
import { concat, u32 } from './tpm-writer.ts';

/** Separates one use of signed evidence from every other; changes when the meaning of the fields does. */
const CONTEXTS = {
  /** The quote of the attestor `tpm`. */
  tpm: Buffer.from('assayer tpm node attestation v1', 'ascii'),
  /** The certification of the CSR's key, with the attestor `tpm`. */
  tpm_key: Buffer.from('assayer tpm key certification v1', 'ascii'),
  /** The bound certification of the attestor `tpm_devid`. */
  tpm_devid: Buffer.from('assayer tpm_devid node attestation v1', 'ascii'),
} as const;

export interface QuoteBinding {
  /** The server's, from the challenge. */
  readonly nonce: Uint8Array;
  /** SubjectPublicKeyInfo (DER) of the agent's CSR; empty under a host that does not tell it. */
  readonly csrPublicKey: Uint8Array;
  readonly ekName: Uint8Array;
  readonly akName: Uint8Array;
}

/**
 * The 32 bytes of qualifying data that evidence is asked for:
 * SHA-256 over context, nonce, CSR key, EK Name and AK Name, each preceded by its length in a big-endian u32.
 */
export function qualifyingData(binding: QuoteBinding, use: keyof typeof CONTEXTS = 'tpm'): Uint8Array {
  const fields = [CONTEXTS[use], binding.nonce, binding.csrPublicKey, binding.ekName, binding.akName];
  const hash = createHash('sha256');
  for (const field of fields) {
    hash.update(concat(u32(field.length), field));
  }
  return Uint8Array.from(hash.digest());
}
