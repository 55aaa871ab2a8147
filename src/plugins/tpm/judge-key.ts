import { type KeyBindingExpectation, verifyKeyBinding } from '../../tpm/key-binding.ts';
import { requireCheck } from '../../x509/require-check.ts';
import type { AttestationResponse } from './codec.ts';

export interface KeyRules {
  /** SubjectPublicKeyInfo (DER) of the CSR; absent under a host that does not tell it. */
  readonly csrPublicKey: Uint8Array | undefined;
  /** `require_key_bound` of the configuration. */
  readonly isRequired: boolean;
  readonly expected: Omit<KeyBindingExpectation, 'csrPublicKey'>;
}

/**
 * Whether the key of the CSR lives in the TPM. An agent that says so has to prove it, asked or not; under a host that does not
 * tell the key of the CSR nobody can.
 *
 * @throws SpiffeError `ATTESTATION_DENIED`
 */
export function judgeKey(
  { keyBinding }: Pick<AttestationResponse, 'keyBinding'>,
  { csrPublicKey, isRequired, expected }: KeyRules,
): boolean {
  requireCheck(
    'H55',
    !isRequired || csrPublicKey !== undefined,
    '"require_key_bound" wants a host that tells the key of the CSR',
  );
  requireCheck(
    'H55',
    !isRequired || keyBinding !== undefined,
    'the agent did not show that its key lives in the TPM, which "require_key_bound" wants: ' +
      'give it the key manager "tpm", and its attestor the same "keys_path"',
  );
  if (keyBinding === undefined || csrPublicKey === undefined) return false;
  verifyKeyBinding(keyBinding, { ...expected, csrPublicKey });
  return true;
}
