import { createHash, X509Certificate } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { SoftHsmToken } from '../../src/testing/softhsm-token.ts';
import { decodePem } from '../../src/x509/pem.ts';
import { createTemporaryFolder } from '../harness/temporary-folder.ts';
import { Deployment } from './deployment.ts';
import type { Program } from './program.ts';
import { askForX509 } from './workload-process.ts';

// A server whose CA, and an agent whose own key, are on one PKCS#11 token; both confined as they are delivered.

const resources = new AsyncDisposableStack();
let token: SoftHsmToken;
let deployment: Deployment;
let server: Program;
let agent: Program;
beforeAll(async () => {
  token = resources.use(await SoftHsmToken.create({ label: 'ca' }));
  Object.assign(process.env, token.environment, { TOKEN_PIN: token.pin });
  const folder = resources.use(await createTemporaryFolder());
  await writeFile(folder.join('pin'), token.pin, { mode: 0o600 });
  const keyManager = (pin: string) => `KeyManager "pkcs11" { plugin_data {
    module_path = "${token.modulePath}"
    token_label = "ca"
    key_identifier_value = "machine-1"
    ${pin}
  } }`;
  deployment = resources.use(
    await Deployment.create({
      serverSettings: 'ca_signing = "intermediate"',
      serverKeyManager: keyManager(`pin_path = "${folder.join('pin')}"`),
      agentKeyManager: keyManager('pin_env = "TOKEN_PIN"'),
    }),
  );
  server = await deployment.startServer();
  agent = await deployment.startAgent();
  await deployment.entitle();
});
afterAll(() => resources.disposeAsync());

/** What openssl makes of the public keys that `pkcs11-tool` lists. */
async function keysOnToken(): Promise<readonly string[]> {
  const listed = await token.tool('--list-objects', '--type', 'pubkey');
  return [...listed.matchAll(/^ *EC_POINT: +([0-9a-f]+)$/gm)].map(([, point = '']) => point);
}

/** The label of each key, and its usage and access. */
async function privateKeys(): Promise<readonly { readonly label: string; readonly access: string }[]> {
  const listed = await token.tool('--list-objects', '--type', 'privkey');
  return listed.split(/^(?=Private Key Object)/m).flatMap((block) => {
    const [, label] = /^ *label: +(.+)$/m.exec(block) ?? [];
    const [, access = ''] = /^ *Access: +(.+)$/m.exec(block) ?? [];
    return label === undefined ? [] : [{ label, access }];
  });
}

async function roots(): Promise<readonly X509Certificate[]> {
  const { stdout } = await deployment.admin('bundle', 'show');
  return decodePem(stdout, 'CERTIFICATE').map((der) => new X509Certificate(Buffer.from(der)));
}

/** As `pkcs11-tool` shows it: an OCTET STRING around the point. */
function pointOf(certificate: X509Certificate): string {
  const spki = certificate.publicKey.export({ type: 'spki', format: 'der' });
  const point = spki.subarray(spki.lastIndexOf(Buffer.of(0x00, 0x04)) + 1);
  return Buffer.concat([Buffer.of(0x04, point.length), point]).toString('hex');
}

test('the keys of CA and agent are on the token, cannot leave it, and a workload has an SVID below them', async () => {
  await expect.poll(() => askForX509(deployment.workloadSocket), { timeout: 30_000 }).toHaveProperty('x509');
  const keys = await privateKeys();
  expect(keys.some(({ label }) => label.startsWith('assayer:example.org:server:machine-1:'))).toBe(true);
  expect(keys.some(({ label }) => label.startsWith('assayer:example.org:agent:machine-1:'))).toBe(true);
  expect(new Set(keys.map(({ access }) => access))).toEqual(
    new Set(['sensitive, always sensitive, never extractable, local']),
  );
  const [root] = await roots();
  if (root === undefined) throw new Error('the server has no root');
  expect(await keysOnToken()).toContain(pointOf(root));
});

test('after a restart both go on with the same keys', async () => {
  const before = (await roots()).map(({ fingerprint256 }) => fingerprint256);
  const keys = await keysOnToken();
  await Promise.all([server.stop(), agent.stop()]);
  server = await deployment.startServer();
  agent = await deployment.startAgent();
  expect((await roots()).map(({ fingerprint256 }) => fingerprint256)).toEqual(before);
  await expect.poll(() => askForX509(deployment.workloadSocket), { timeout: 30_000 }).toHaveProperty('x509');
  expect(await keysOnToken()).toEqual(expect.arrayContaining([...keys].slice(0, 1)));
});

test('a new CA has another key on the token, and what it signs is taken', async () => {
  const shown = z.looseObject({ prepared_authority: z.looseObject({ authority_id: z.string() }) });
  const { stdout } = await deployment.admin('localauthority', 'x509', 'prepare', '-output', 'json');
  const { authority_id: id } = shown.parse(JSON.parse(stdout)).prepared_authority;
  await deployment.admin('localauthority', 'x509', 'activate', '-authorityID', id);
  const all = await roots();
  expect(all).toHaveLength(2);
  const points = await keysOnToken();
  for (const root of all) expect(points).toContain(pointOf(root));
  const labels = (await privateKeys()).map(({ label }) => label);
  expect(new Set(labels).size).toBe(labels.length);
});

test('the PIN is in no output of either, and in no argument', async () => {
  const outputs = deployment.programs.map(({ output }) => output).join('\n');
  expect(outputs).toContain('logged in to the PKCS#11 token');
  const hash = createHash('sha256').update(token.pin).digest('hex');
  for (const secret of [token.pin, hash]) expect(outputs).not.toContain(secret);
});
