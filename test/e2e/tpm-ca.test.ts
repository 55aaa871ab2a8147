import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { SVIDDefinition } from '../../src/gen/spire/api/server/svid/v1/svid.ts';
import { type Swtpm, startSwtpm } from '../../src/testing/swtpm.ts';
import { readWrappedKeys } from '../../src/tpm-device/wrapped-keys.ts';
import { parseCertificate } from '../../src/x509/certificate.ts';
import { encodePem } from '../../src/x509/pem.ts';
import { TestServer } from '../harness/running-server.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../harness/temporary-folder.ts';
import { newCsrKey } from './tpm-node.ts';

const run = promisify(execFile);
const resources = new AsyncDisposableStack();
let tpm: Swtpm;
let folder: TemporaryFolder;
let keysPath: string;
beforeAll(async () => {
  folder = resources.use(await createTemporaryFolder());
  keysPath = folder.join('keys');
  tpm = resources.use(await startSwtpm({ ek: [] }));
});
afterAll(() => resources.disposeAsync());

const start = (settings: string) =>
  TestServer.start({
    folder: folder.path,
    settings,
    plugins: `KeyManager "tpm" { plugin_data {
      tcti = "${tpm.tcti}"
      keys_path = "${keysPath}"
    } }
    NodeAttestor "join_token" {}`,
  });

/** An X.509-SVID that `openssl verify` takes by the server's bundle. @returns the chain, leaf first. */
async function mint(server: TestServer): Promise<readonly Uint8Array[]> {
  const { csr } = await newCsrKey('spiffe://example.org/workload');
  const { svid } = await server.admin(SVIDDefinition).mintX509SVID({ csr, ttl: 0 });
  const chain = svid?.certChain ?? [];
  const pem = (certificates: readonly Uint8Array[]) =>
    certificates.map((der) => encodePem('CERTIFICATE', der)).join('');
  await writeFile(folder.join('roots.pem'), pem(authorities(server)));
  await writeFile(folder.join('chain.pem'), pem(chain));
  const files = ['-CAfile', folder.join('roots.pem'), '-untrusted', folder.join('chain.pem'), folder.join('chain.pem')];
  const { stdout } = await run('openssl', ['verify', ...files]);
  expect(stdout).toContain('chain.pem: OK');
  return chain;
}

const authorities = (server: TestServer) => server.running.bundle.x509Authorities.map(({ certificate }) => certificate);

test('the key of the CA is in the TPM, signs an intermediate CA or each SVID, and is the same after a restart', async () => {
  let before: readonly Uint8Array[];
  {
    await using server = await start('ca_signing = "intermediate"');
    expect(await mint(server)).toHaveLength(2);
    before = authorities(server);
    const [root = new Uint8Array()] = before;
    const keys = (await readWrappedKeys(keysPath))?.keys ?? [];
    const isOfRoot = ({ publicKey }: { publicKey: Uint8Array }) =>
      Buffer.compare(publicKey, parseCertificate(root).subjectPublicKeyInfo) === 0;
    expect(keys.filter(isOfRoot)).toHaveLength(1);
  }
  await tpm.boot(); // as with the machine
  await using server = await start('');
  expect(await mint(server)).toHaveLength(1);
  expect(authorities(server)).toEqual(before);
});

test('a server whose TPM was cleared says so, and does not start with another CA', async () => {
  await tpm.tools('tpm2_clear', '-c', 'p');
  await expect(start('')).rejects.toThrow(/are of another TPM, or this TPM was cleared since/);
});
