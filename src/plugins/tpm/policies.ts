import { createHash } from 'node:crypto';
import { open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { readBootPolicyFile } from '../../config/boot-policy.ts';
import { writeFileAtomically } from '../../files/write-file-atomically.ts';
import { isSpiffeError, messageOf, SpiffeError } from '../../spiffe/error.ts';
import type { BootPolicy } from '../../tpm/policy/boot-policy.ts';
import { checkPolicies } from '../../tpm/policy/check-policies.ts';
import {
  MAX_POLICY_FILE_BYTES,
  openSignedPolicy,
  parsePolicyKey,
  requireVersion,
} from '../../tpm/policy/signed-policy.ts';
import type { TpmServerConfig } from './config.ts';

/** What a machine has to have booted: one of these. */
export interface Policies {
  /** In order: the first that holds counts. */
  readonly list: readonly BootPolicy[];
  /** Of the signed file; undefined where the policies are in the configuration. */
  readonly version: number | undefined;
  /** Whether a node that meets none is admitted with fewer selectors. */
  readonly admitsOthers: boolean;
}

export const NO_POLICIES: Policies = { list: [], version: undefined, admitsOthers: false };

type PolicyConfig = Pick<
  TpmServerConfig,
  'policy' | 'otherwise' | 'policy_path' | 'policy_public_key_path' | 'state_path'
>;

/** Beside what is remembered of TPMs, whose names are hashes. */
const FLOOR_FILE = 'policy-version';
const floorFile = z.strictObject({ key: z.string(), version: z.int().min(1) });

/**
 * The policies of the configuration, or of the signed file that it names. A version that was in force is remembered in
 * `state_path`, under the key that signed it.
 *
 * @throws SpiffeError `CONFIG_INVALID` for a file that cannot be read or is wrong, `ATTESTATION_DENIED` (P17, P18) for one
 *   that is not signed, or whose version went back
 */
export async function readPolicies(config: PolicyConfig): Promise<Policies> {
  const { policy_path: path, policy_public_key_path: keyPath, state_path: statePath } = config;
  if (path === undefined || keyPath === undefined || statePath === undefined) {
    checkPolicies(config.policy);
    return { list: config.policy, version: undefined, admitsOthers: config.otherwise !== 'refuse' };
  }
  const pem = await readCapped('policy_public_key_path', keyPath);
  const key = parsePolicyKey(pem.toString('utf8'));
  const content = await readCapped('policy_path', path);
  const signature = await findSignature(`${path}.sig`);
  const text = openSignedPolicy({ content, ...(signature && { signature }) }, key);
  const { version, policies, otherwise } = readBootPolicyFile(text, 'policy_path');
  checkPolicies(policies);
  const fingerprint = createHash('sha256')
    .update(key.export({ type: 'spki', format: 'der' }))
    .digest('hex');
  const floor = await findFloor(join(statePath, FLOOR_FILE), fingerprint);
  requireVersion(version, floor);
  if (version > floor) {
    const record = `${JSON.stringify({ key: fingerprint, version })}\n`;
    await writeFileAtomically(join(statePath, FLOOR_FILE), record, 0o600, undefined, 'of the policy’s version');
  }
  return { list: policies, version, admitsOthers: otherwise !== 'refuse' };
}

/** A key that was replaced begins anew: whoever configures it is the operator. */
async function findFloor(path: string, fingerprint: string): Promise<number> {
  try {
    const { key, version } = floorFile.parse(JSON.parse(await readFile(path, 'utf8')));
    return key === fingerprint ? version : 0;
  } catch (cause) {
    if (isMissing(cause)) return 0;
    throw new SpiffeError(
      'CONFIG_INVALID',
      `state_path: "${path}" does not tell which version of the policy was in force: remove it to begin anew`,
      { cause },
    );
  }
}

async function findSignature(path: string): Promise<Uint8Array | undefined> {
  try {
    return await readCapped('policy_path', path);
  } catch (error) {
    if (isSpiffeError(error) && isMissing(error.cause)) return undefined; // an envelope has its own
    throw error;
  }
}

async function readCapped(key: string, path: string): Promise<Buffer> {
  try {
    await using file = await open(path, 'r');
    const { size } = await file.stat();
    if (size > MAX_POLICY_FILE_BYTES)
      throw new Error(`it has ${size} bytes, at most ${MAX_POLICY_FILE_BYTES} are read`);
    return await file.readFile();
  } catch (cause) {
    throw new SpiffeError('CONFIG_INVALID', `${key}: "${path}" cannot be read: ${messageOf(cause)}`, { cause });
  }
}

function isMissing(cause: unknown): boolean {
  return cause instanceof Error && 'code' in cause && cause.code === 'ENOENT';
}
