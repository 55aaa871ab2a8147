import { afterAll, beforeAll, expect, test } from 'vitest';
import { SVIDDefinition } from '../../src/gen/spire/api/server/svid/v1/svid.ts';
import { SpiffeWorkloadAPIDefinition } from '../../src/gen/workload/workload.ts';
import { TestAuthority } from '../../src/testing/test-authority.ts';
import { encodePem } from '../../src/x509/pem.ts';
import { TestDomain } from '../agent/test-domain.ts';
import { AS_WORKLOAD } from '../agent/workload.ts';
import { authoritySteps } from '../harness/authority-steps.ts';
import { curl } from '../harness/curl.ts';
import { freePort } from '../harness/free-port.ts';
import type { TestAgent } from '../harness/running-agent.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../harness/temporary-folder.ts';
import { startOidcProgram } from '../oidc/oidc-program.ts';
import { Minio } from './minio-server.ts';

const CLIENT_ID = 'object-store';
const OBJECT = '/accounts/2026.csv';
const resources = new AsyncDisposableStack();
let domain: TestDomain;
let agent: TestAgent;
let folder: TemporaryFolder;
let shownKeys: () => Promise<string>;
let startMinio: () => Promise<Minio>;
let minio: Minio;

beforeAll(async () => {
  const port = await freePort();
  domain = resources.use(await TestDomain.start({ settings: `jwt_issuer = "https://localhost:${port}"` }));
  folder = resources.use(await createTemporaryFolder());
  await domain.createEntry('/accounting');
  agent = resources.use(await domain.startAgent());
  const authority = resources.use(await TestAuthority.create('web.example'));
  const files = await authority.writeCredential(await authority.issueLeaf({ dnsNames: ['localhost'] }));
  resources.use(
    await startOidcProgram({
      folder: folder.path,
      settings: `domains = ["localhost"]
      serving_cert_file {
        addr = "127.0.0.1:${port}"
        cert_file_path = "${files.certificatePath}"
        key_file_path = "${files.keyPath}"
      }
      server_api { address = "${domain.server.running.socketPath}" poll_interval = "200ms" }`,
    }),
  );
  const caPath = await authority.writeCertificate();
  shownKeys = async () => (await curl(`https://localhost:${port}/keys`, '--cacert', caPath)).body;
  const discoveryUrl = `https://localhost:${port}/.well-known/openid-configuration`;
  const webCa = encodePem('CERTIFICATE', authority.certificate.der);
  startMinio = () => Minio.start({ folder, webCa, discoveryUrl, clientId: CLIENT_ID });
  minio = await startMinio();
  resources.defer(() => minio[Symbol.asyncDispose]());
  expect(await minio.s3(minio.root, 'PUT', '/accounts')).toBe('');
  expect(await minio.s3(minio.root, 'PUT', OBJECT, 'income,0')).toBe('');
});
afterAll(() => resources.disposeAsync());

/** As the workload gets it of its agent. */
async function fetchToken(audience = CLIENT_ID): Promise<string> {
  const { svids } = await agent
    .workload(SpiffeWorkloadAPIDefinition)
    .fetchJWTSVID({ audience: [audience], spiffeId: '' }, AS_WORKLOAD);
  return svids[0]?.svid ?? '';
}

test('a workload’s JWT-SVID is exchanged for keys that read an object, and do no more', async () => {
  const credentials = await minio.assumeRole(await fetchToken());
  expect(await minio.s3(credentials, 'GET', OBJECT)).toBe('income,0');
  expect(await minio.s3(credentials, 'PUT', OBJECT, 'income,1')).toBe('status 403');
  expect(await minio.s3(minio.root, 'GET', OBJECT)).toBe('income,0');
});

test('a token for somebody else is refused', async () => {
  await expect(minio.assumeRole(await fetchToken('somebody else'))).rejects.toThrow(
    /^400 .*must match configured OpenID Client ID/,
  );
});

test('a token that was changed is refused', async () => {
  const token = await fetchToken();
  await expect(minio.assumeRole(`${token.slice(0, -6)}AAAAAA`)).rejects.toThrow(/^40[03] /);
});

test('a token that has expired is refused', async () => {
  const id = { trustDomain: 'example.org', path: '/accounting' };
  const mint = { id, audience: [CLIENT_ID], ttl: 1 };
  const { svid } = await domain.server.admin(SVIDDefinition).mintJWTSVID(mint);
  const token = svid?.token ?? '';
  await expect.poll(() => Date.now() / 1000 > Number(svid?.expiresAt) + 1).toBe(true);
  await expect(minio.assumeRole(token)).rejects.toThrow(/^400 .*expired/i);
});

test('keys rotate without a gap, and one that was revoked is not believed', async () => {
  const jwt = authoritySteps(domain.server, 'JWT');
  const first = await jwt.active();
  const before = await fetchToken();
  const second = await jwt.prepare();
  await expect.poll(shownKeys).toContain(second); // as it is hours before a server of its own accord signs by it
  await jwt.activate(second);
  const id = { trustDomain: 'example.org', path: '/accounting' };
  const mint = async () => {
    const answer = await domain.server.admin(SVIDDefinition).mintJWTSVID({ id, audience: [CLIENT_ID], ttl: 300 });
    return answer.svid?.token ?? '';
  };
  const after = await mint();
  expect(await minio.s3(await minio.assumeRole(after), 'GET', OBJECT)).toBe('income,0');
  expect(await minio.s3(await minio.assumeRole(before), 'GET', OBJECT)).toBe('income,0');
  await jwt.taint(first);
  await jwt.revoke(first);
  // MinIO keeps every key that it has seen until it starts again.
  await minio[Symbol.asyncDispose]();
  minio = await startMinio();
  await expect(minio.assumeRole(before)).rejects.toThrow(/^400 .*No public key found/i);
  expect(await minio.s3(await minio.assumeRole(after), 'GET', OBJECT)).toBe('income,0');
});
