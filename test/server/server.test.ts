import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { BundleDefinition } from '../../src/gen/spire/api/server/bundle/v1/bundle.ts';
import { EntryDefinition } from '../../src/gen/spire/api/server/entry/v1/entry.ts';
import { SVIDDefinition } from '../../src/gen/spire/api/server/svid/v1/svid.ts';
import { Entry } from '../../src/gen/spire/api/types/types.ts';
import { Status } from '../../src/spiffe/status.ts';
import { createCsr } from '../../src/x509/csr.ts';
import { signerOfKeyObject } from '../../src/x509/signer.ts';
import { TestServer } from '../harness/running-server.ts';
import { createTemporaryFolder } from '../harness/temporary-folder.ts';

const resources = new AsyncDisposableStack();
let server: TestServer;

beforeAll(async () => {
  const folder = resources.use(await createTemporaryFolder());
  server = resources.use(await TestServer.start({ folder: folder.path }));
});
afterAll(() => resources.disposeAsync());

test('the bundle has one X.509 authority and one JWT authority', async () => {
  const bundle = await server.admin(BundleDefinition).getBundle({ outputMask: undefined });
  expect(bundle).toMatchObject({ trustDomain: 'example.org' });
  expect([bundle.x509Authorities.length, bundle.jwtAuthorities.length]).toEqual([1, 1]);
});

test('mints an X.509-SVID that the bundle verifies', async () => {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const csr = await createCsr({
    signer: signerOfKeyObject(privateKey),
    uriNames: ['spiffe://example.org/web'],
    dnsNames: ['web'],
  });
  const { svid } = await server.admin(SVIDDefinition).mintX509SVID({ csr, ttl: 60 });
  const [leaf] = svid?.certChain.map((der) => new X509Certificate(der)) ?? [];
  const [root] = server.running.bundle.x509Authorities.map(({ certificate }) => new X509Certificate(certificate));
  expect(root && leaf?.verify(root.publicKey)).toBe(true);
  expect(leaf?.subjectAltName).toBe('URI:spiffe://example.org/web, DNS:web');
});

test('mints a JWT-SVID', async () => {
  const id = { trustDomain: 'example.org', path: '/web' };
  const { svid } = await server.admin(SVIDDefinition).mintJWTSVID({ id, audience: ['api'], ttl: 0 });
  expect(svid?.token.split('.')).toHaveLength(3);
});

test('keeps entries', async () => {
  const entries = server.admin(EntryDefinition);
  const entry = Entry.fromPartial({
    spiffeId: { trustDomain: 'example.org', path: '/web' },
    parentId: { trustDomain: 'example.org', path: '/node' },
    selectors: [{ type: 'unix', value: 'uid:0' }],
  });
  const { results } = await entries.batchCreateEntry({ entries: [entry, entry], outputMask: undefined });
  expect(results.map(({ status }) => status?.code)).toEqual([Status.Ok, Status.AlreadyExists]);
  expect(await entries.countEntries({ filter: undefined })).toEqual({ count: 1 });
});
