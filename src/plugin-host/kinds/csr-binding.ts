/**
 * The metadata key that carries the SubjectPublicKeyInfo (DER) of the agent's CSR to both halves of an attestation, so
 * that a proof can be bound to the key that it is for. Ours: a plugin that does not know it ignores it.
 *
 * @see plugin-wire §8.2a
 */
export const CSR_PUBLIC_KEY = 'assayer-csr-spki-bin';
