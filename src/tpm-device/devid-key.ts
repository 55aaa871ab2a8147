import { createHash } from 'node:crypto';
import { SpiffeError } from '../spiffe/error.ts';
import { isStrongHash } from '../tpm/algorithms.ts';
import { DEVID_PARENT_TEMPLATES, type DevidKeyType, devidKeyTemplate } from '../tpm/devid-templates.ts';
import { parsePublic } from '../tpm/public-area.ts';
import { encodeEcdsaSigValue, parseSignature } from '../tpm/signature.ts';
import type { TpmDevice, TpmKey } from './device.ts';
import type { NativeWrappedKey } from './native-tpm.ts';
import { isTpmResponse, orWrongPassword } from './tpm-response.ts';

/** What authorizes the use of a DevID key, and of the hierarchy above it; empty where nothing does. */
export interface DevidPasswords {
  readonly owner: Uint8Array;
  readonly devid: Uint8Array;
}

/**
 * Makes a DevID key in the TPM, where SPIRE's agent finds it too.
 *
 * @throws SpiffeError `TPM_UNAVAILABLE`, `FAILED_PRECONDITION` for a wrong password of the owner hierarchy
 */
export async function createDevidKey(
  tpm: TpmDevice,
  type: DevidKeyType,
  passwords: DevidPasswords,
): Promise<NativeWrappedKey> {
  const template = devidKeyTemplate(type, passwords.devid.length > 0);
  await using parent = await createParent(tpm, template.type, passwords.owner);
  return await tpm.createKey(parent, template, passwords.devid);
}

/**
 * Loads a DevID key; the key above it, which takes one of a TPM's few places, is gone again then.
 *
 * @throws SpiffeError `FILE_UNUSABLE` where this TPM did not make it, `FAILED_PRECONDITION` for a wrong password, `TPM_UNAVAILABLE`
 */
export async function loadDevidKey(tpm: TpmDevice, key: NativeWrappedKey, passwords: DevidPasswords): Promise<TpmKey> {
  await using parent = await createParent(tpm, parsePublic(key.publicArea).type, passwords.owner);
  const loaded = await tpm.loadKey(parent, key).catch((cause: unknown) => {
    if (!isTpmResponse(cause, 'integrity')) throw cause;
    throw new SpiffeError(
      'FILE_UNUSABLE',
      'this TPM does not take the DevID key: another TPM made it, this one was cleared since, or "devid_priv_path" and ' +
        '"devid_pub_path" do not belong together. Make a new key with "assayer tpm devid"',
      { cause },
    );
  });
  if (passwords.devid.length > 0) await tpm.setKeyAuth(loaded, passwords.devid);
  return loaded;
}

/**
 * @returns the octets of RSASSA or RSAPSS, or an ECDSA-Sig-Value in DER, by the key's own scheme
 * @throws SpiffeError `FAILED_PRECONDITION` for a wrong password, `TPM_DATA_INVALID` for a key without a scheme, `TPM_UNAVAILABLE`
 */
export async function signWithDevidKey(tpm: TpmDevice, key: TpmKey, message: Uint8Array): Promise<Uint8Array> {
  const hash = key.publicArea.scheme?.hash;
  if (hash === undefined || !isStrongHash(hash)) {
    throw new SpiffeError(
      'TPM_DATA_INVALID',
      'the DevID key has no signing scheme with SHA-256 or better: make another',
    );
  }
  const digest = createHash(hash).update(message).digest();
  const signature = parseSignature(await withDevidPassword(tpm.signByOwnScheme(key, digest)));
  return signature.scheme === 'ecdsa' ? encodeEcdsaSigValue(signature) : signature.signature;
}

/** Says which password is wrong where a command with the DevID key fails for it. */
export async function withDevidPassword<T>(command: Promise<T>): Promise<T> {
  return await orWrongPassword(command, '"devid_password" is not the password that the DevID key was made with');
}

async function createParent(tpm: TpmDevice, type: 'rsa' | 'ecc', password: Uint8Array): Promise<TpmKey> {
  if (password.length > 0) await tpm.setOwnerAuth(password);
  return await orWrongPassword(
    tpm.createStorageKey(DEVID_PARENT_TEMPLATES[type]),
    'the TPM asks for the password of its owner hierarchy: correct "owner_hierarchy_password"',
  );
}
