import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { SVIDDefinition } from '../../src/gen/spire/api/server/svid/v1/svid.ts';
import { parseCertificate } from '../../src/x509/certificate.ts';
import { formatName } from '../../src/x509/name.ts';
import { PLUGIN_SDK } from '../harness/built-programs.ts';
import { TestServer } from '../harness/running-server.ts';
import { createTemporaryFolder } from '../harness/temporary-folder.ts';
import { newCsr } from '../server/callers.ts';

// What docs/server/credential-composers.md shows: the composer that comes with the server, then the one to write.
const PAGE = join(import.meta.dirname, '..', '..', 'docs', 'server', 'credential-composers.md');
/** As SPIRE's own tests have it for spiffe://example.org/foo. */
const UNIQUE_ID = '2.5.4.45=#13206333343036663962313263656234663963393438333138633537396239303562';
const resources = new AsyncDisposableStack();
let server: TestServer;

beforeAll(async () => {
  const folder = resources.use(await createTemporaryFolder());
  const [, program = ''] = /^```ts\n([\s\S]*?)^```$/m.exec(await readFile(PAGE, 'utf8')) ?? [];
  await writeFile(folder.join('common-name.ts'), program.replace('assayer/plugin-sdk', PLUGIN_SDK));
  server = resources.use(
    await TestServer.start({
      folder: folder.path,
      plugins: `KeyManager "memory" {}
  NodeAttestor "join_token" {}
  CredentialComposer "uniqueid" {}
  CredentialComposer "common-name" { plugin_cmd = "${process.execPath}" plugin_args = ["${folder.join('common-name.ts')}"] }`,
    }),
  );
});
afterAll(() => resources.disposeAsync());

test.each([
  ['a workload without a DNS name', [], `${UNIQUE_ID},O=SPIRE,C=US`],
  ['a workload with DNS names', ['orders', 'orders.shop'], `${UNIQUE_ID},CN=orders,O=SPIRE,C=US`],
  ['a workload whose DNS name is too long', [`${'a'.repeat(60)}.shop`], `${UNIQUE_ID},O=SPIRE,C=US`],
])('%s', async (_what, dnsNames, subject) => {
  const { csr } = await newCsr({ uriNames: ['spiffe://example.org/foo'], dnsNames });
  const { svid } = await server.admin(SVIDDefinition).mintX509SVID({ csr, ttl: 0 });
  expect(formatName(parseCertificate(svid?.certChain[0] ?? new Uint8Array()).subject)).toBe(subject);
});
