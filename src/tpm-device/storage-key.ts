import { isStorageKey } from '../tpm/key-templates.ts';
import { nameOf } from '../tpm/names.ts';
import type { TpmDevice, TpmKey } from './device.ts';
import { useAuthorization } from './use-authorization.ts';

export interface StorageKeyOptions {
  /** A file whose bytes, without a line end, authorize the owner hierarchy. */
  readonly ownerAuthPath?: string | undefined;
  /** The key that is wanted, by its Name: where the TPM holds it, it need not be made again. */
  readonly name?: Uint8Array | undefined;
}

/**
 * The storage root key, below which keys of ours are wrapped: the same one until the TPM is cleared.
 *
 * @throws SpiffeError `TPM_UNAVAILABLE`, `FILE_UNUSABLE`
 */
export async function loadStorageKey(tpm: TpmDevice, { ownerAuthPath, name }: StorageKeyOptions = {}): Promise<TpmKey> {
  if (name !== undefined) {
    const found = await tpm.findPersistent((area) => isStorageKey(area) && Buffer.compare(nameOf(area), name) === 0);
    if (found !== undefined) return found;
  }
  if (ownerAuthPath !== undefined) {
    await useAuthorization('owner_auth_path', ownerAuthPath, (auth) => tpm.setOwnerAuth(auth));
  }
  return await tpm.createStorageKey();
}
