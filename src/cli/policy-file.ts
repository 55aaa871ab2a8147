import type { KeyObject } from 'node:crypto';
import { type BootPolicyFile, readBootPolicyFile } from '../config/boot-policy.ts';
import { isSpiffeError, SpiffeError } from '../spiffe/error.ts';
import { MAX_POLICY_FILE_BYTES, openSignedPolicy, parsePolicyKey } from '../tpm/policy/signed-policy.ts';
import { text } from './flag-kinds.ts';
import { findInputBytes, isObject, readInputBytes } from './read-input-file.ts';

export const policyKeyFlag = text('Public key in PEM that the policy has to be signed with', 'FILE');

/**
 * Reads policies, signed or a draft. A signed file is opened with the key alone; a draft is taken where no key is given.
 *
 * @throws SpiffeError `ATTESTATION_DENIED` (P17), `CONFIG_INVALID`, `FILE_UNUSABLE`, `TOO_LARGE`
 */
export async function readPolicies(path: string, keyPath: string): Promise<BootPolicyFile> {
  const content = await readInputBytes(path, MAX_POLICY_FILE_BYTES);
  if (keyPath !== '') {
    const signature = await findInputBytes(`${path}.sig`, MAX_KEY_BYTES); // beside a policy that is no envelope
    return readBootPolicyFile(openSignedPolicy({ content, signature }, await readPolicyKey(keyPath)), path);
  }
  const json = content.toString('utf8');
  if (isEnvelope(json)) {
    throw new SpiffeError('ARGUMENT_INVALID', `"${path}" is signed: give the public key with -policyKey`);
  }
  return readBootPolicyFile(json, path);
}

async function readPolicyKey(path: string): Promise<KeyObject> {
  const pem = (await readInputBytes(path, MAX_KEY_BYTES)).toString('utf8');
  try {
    return parsePolicyKey(pem);
  } catch (cause) {
    if (!isSpiffeError(cause)) throw cause;
    throw new SpiffeError('CONFIG_INVALID', `"${path}": ${cause.message}`, { cause });
  }
}

export const MAX_KEY_BYTES = 64 * 1024;

function isEnvelope(json: string): boolean {
  try {
    const value: unknown = JSON.parse(json);
    return isObject(value) && 'payload' in value && 'signature' in value;
  } catch {
    return false; // reading it says what is wrong
  }
}
