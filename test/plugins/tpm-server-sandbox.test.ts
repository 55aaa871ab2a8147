import { generateKeyPairSync, sign } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { TestServer } from '../harness/running-server.ts';
import { createTemporaryFolder } from '../harness/temporary-folder.ts';

test('the confined plugin sees the signature beside its policy file', async () => {
  await using folder = await createTemporaryFolder();
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const payload = Buffer.from(JSON.stringify({ version: 1, policies: [{ name: 'secure', secure_boot: {} }] }));
  await writeFile(folder.join('key.pem'), publicKey.export({ type: 'spki', format: 'pem' }));
  await writeFile(folder.join('policy.json'), payload);
  await writeFile(folder.join('policy.json.sig'), sign(null, payload, privateKey));
  await writeFile(folder.join('hashes'), `${'ab'.repeat(32)}\n`);
  const files = `hash_path = "${folder.join('hashes')}"
    policy_path = "${folder.join('policy.json')}"
    policy_public_key_path = "${folder.join('key.pem')}"
    state_path = "${folder.join('state')}"`;
  const plugins = `KeyManager "memory" {}\n  NodeAttestor "tpm" { plugin_data { ${files} } }`;
  await using server = await TestServer.start({ folder: folder.path, plugins });
  expect(server.records.map(({ message }) => message)).toContain('plugin loaded');
  // Written once the signature was verified, and by nobody else.
  const inForce = JSON.parse(await readFile(folder.join('state/policy-version'), 'utf8'));
  expect(inForce).toMatchObject({ version: 1 });
});
