import { generateKeyPairSync, sign } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { BootPolicy } from '../../src/tpm/policy/boot-policy.ts';

/**
 * Signs a policy as an operator does.
 *
 * @param folder made here; it gets file, key and the attestor's state
 * @returns lines for the attestor's configuration
 */
export async function writePolicyFile(folder: string, policy: BootPolicy): Promise<string> {
  const [path, keyPath, statePath] = [join(folder, 'policy.json'), join(folder, 'key.pem'), join(folder, 'state')];
  await mkdir(statePath, { recursive: true });
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const payload = Buffer.from(JSON.stringify({ version: 1, policies: [policy] }));
  await writeFile(keyPath, publicKey.export({ type: 'spki', format: 'pem' }));
  const signature = sign(null, payload, privateKey).toString('base64');
  await writeFile(path, JSON.stringify({ payload: payload.toString('base64'), signature }));
  return `policy_path = "${path}"
      policy_public_key_path = "${keyPath}"
      state_path = "${statePath}"`;
}
