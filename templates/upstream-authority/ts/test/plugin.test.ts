import assert from 'node:assert/strict';
import { generateKeyPairSync, randomBytes, X509Certificate } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { encodePem, issueCaCertificate, signerOfKeyObject, type TrustDomain } from 'assayer/plugin-sdk';
import { plugin, readRoot } from '../src/plugin.ts';

const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const other = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;

async function writeRoot(folder: string, key = privateKey): Promise<readonly [string, string]> {
  const certificate = await issueCaCertificate({
    issuer: 'self',
    signer: signerOfKeyObject(privateKey),
    trustDomain: 'upstream.example' as TrustDomain,
    serialNumber: Uint8Array.of(0x40, ...randomBytes(17)),
    notBefore: new Date(Date.now() - 60_000),
    notAfter: new Date(Date.now() + 3_600_000),
  });
  const paths = [join(folder, 'root.pem'), join(folder, 'root.key')] as const;
  await writeFile(paths[0], encodePem('CERTIFICATE', certificate));
  await writeFile(paths[1], key.export({ format: 'pem', type: 'pkcs8' }));
  return paths;
}

test('the root is read with its key', async () => {
  assert.deepEqual([plugin.type, plugin.side], ['UpstreamAuthority', 'server']);
  const folder = await mkdtemp(join(tmpdir(), 'root-'));
  try {
    const root = await readRoot(...(await writeRoot(folder)));
    assert.ok(new X509Certificate(root.certificate.der).ca);
    await assert.rejects(readRoot(...(await writeRoot(folder, other))), { code: 'CONFIG_INVALID' });
    await assert.rejects(readRoot(join(folder, 'absent'), join(folder, 'absent')), { code: 'CONFIG_INVALID' });
  } finally {
    await rm(folder, { recursive: true });
  }
});
