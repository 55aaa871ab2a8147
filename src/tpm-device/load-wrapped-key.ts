import { SpiffeError } from '../spiffe/error.ts';
import { KEY_TEMPLATES } from '../tpm/key-templates.ts';
import type { KeyType } from '../x509/signer.ts';
import type { TpmDevice, TpmKey } from './device.ts';
import { loadStorageKey } from './storage-key.ts';
import { isTpmResponse } from './tpm-response.ts';
import { toWrappedKey, type WrappedKey, type WrappedKeys, wrappedKeysFile } from './wrapped-keys.ts';

/** Where a file of wrapped keys is, and how to get at the key that wraps them. */
export interface KeysPlace {
  readonly keysPath: string;
  readonly ownerAuthPath?: string | undefined;
}

/**
 * Loads a key; its parent, which takes one of a TPM's few places, is gone again then.
 *
 * @throws SpiffeError `FILE_UNUSABLE` where this TPM did not make it, `TPM_UNAVAILABLE`
 */
export async function loadWrappedKey(
  tpm: TpmDevice,
  place: KeysPlace,
  { parentName }: Pick<WrappedKeys, 'parentName'>,
  key: WrappedKey,
): Promise<TpmKey> {
  await using parent = await loadParent(tpm, place, parentName);
  try {
    return await tpm.loadKey(parent, key);
  } catch (cause) {
    if (!isTpmResponse(cause, 'integrity')) throw cause;
    throw new SpiffeError(
      'FILE_UNUSABLE',
      `the TPM does not take the key "${key.id}" of "${wrappedKeysFile(place.keysPath)}", which is damaged: ` +
        'restore the file, or remove it to start with new keys',
      { cause },
    );
  }
}

/**
 * The storage key that wraps the keys of a file.
 *
 * @param parentName undefined where there is no file yet
 * @throws SpiffeError `FILE_UNUSABLE` where another TPM wrapped them
 */
export async function loadParent(
  tpm: TpmDevice,
  { keysPath, ownerAuthPath }: KeysPlace,
  parentName: Uint8Array | undefined,
): Promise<TpmKey> {
  const parent = await loadStorageKey(tpm, { ownerAuthPath, name: parentName });
  if (parentName === undefined || Buffer.compare(parent.tpmName, parentName) === 0) return parent;
  await parent[Symbol.asyncDispose]();
  throw new SpiffeError(
    'FILE_UNUSABLE',
    `the keys in "${wrappedKeysFile(keysPath)}" are of another TPM, or this TPM was cleared since: they are lost to this machine. ` +
      'Remove the file to start with new keys',
  );
}

/** @throws SpiffeError `FAILED_PRECONDITION` for a type that this TPM does not make. */
export async function createWrappedKey(tpm: TpmDevice, parent: TpmKey, id: string, type: KeyType): Promise<WrappedKey> {
  try {
    return toWrappedKey(id, await tpm.createKey(parent, KEY_TEMPLATES[type]));
  } catch (cause) {
    if (!isTpmResponse(cause, 'asymmetric', 'value', 'keySize', 'curve')) throw cause;
    throw new SpiffeError(
      'FAILED_PRECONDITION',
      `the TPM makes no keys of type ${type}: choose another, ec-p256 is known to every TPM`,
      { cause },
    );
  }
}
