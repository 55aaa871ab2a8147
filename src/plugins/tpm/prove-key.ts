import { SpiffeError } from '../../spiffe/error.ts';
import type { KeyBindingEvidence } from '../../tpm/key-binding.ts';
import type { TpmDevice, TpmKey } from '../../tpm-device/device.ts';
import { type KeysPlace, loadWrappedKey } from '../../tpm-device/load-wrapped-key.ts';
import { readWrappedKeys, type WrappedKey, type WrappedKeys } from '../../tpm-device/wrapped-keys.ts';

/** The key of the CSR, as the key manager `tpm` left it. */
export interface BoundKey {
  readonly place: KeysPlace;
  readonly file: WrappedKeys;
  readonly key: WrappedKey;
}

/**
 * Finds the key of the CSR among those that the TPM wrapped.
 *
 * @throws SpiffeError `FAILED_PRECONDITION` where it is none of them, `FILE_UNUSABLE`
 */
export async function findBoundKey(place: KeysPlace, csrPublicKey: Uint8Array): Promise<BoundKey> {
  if (csrPublicKey.length === 0) {
    throw new SpiffeError(
      'FAILED_PRECONDITION',
      'this host does not tell which key is to be certified, as SPIRE\'s agent: leave "keys_path" of the attestor out',
    );
  }
  const file = await readWrappedKeys(place.keysPath);
  const key = file?.keys.find(({ publicKey }) => Buffer.compare(publicKey, csrPublicKey) === 0);
  if (file !== undefined && key !== undefined) return { place, file, key };
  throw new SpiffeError(
    'FAILED_PRECONDITION',
    `the key that is to be certified is not in "${place.keysPath}": configure the key manager "tpm" with the same "keys_path", ` +
      'or leave it out here',
  );
}

/** Has the attestation key certify the key. Two places of the TPM have to be free. */
export async function certifyBoundKey(
  tpm: TpmDevice,
  ak: TpmKey,
  { place, file, key }: BoundKey,
  qualifyingData: Uint8Array,
): Promise<KeyBindingEvidence> {
  await using loaded = await loadWrappedKey(tpm, place, file, key);
  return { publicArea: loaded.publicBytes, ...(await tpm.certifyKey(loaded, ak, qualifyingData)) };
}
