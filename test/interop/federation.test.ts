import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { webContextOf } from '../../src/http/web-roots.ts';
import { fetchBundle } from '../../src/server/federation/fetch-bundle.ts';
import type { Bundle } from '../../src/spiffe/bundle.ts';
import { formatBundleDocument, formatBundlePem, parseBundleDocument } from '../../src/spiffe/bundle-document.ts';
import { parseSpiffeId } from '../../src/spiffe/spiffe-id.ts';
import { parseTrustDomain } from '../../src/spiffe/trust-domain.ts';
import { TestAuthority } from '../../src/testing/test-authority.ts';
import { encodePem } from '../../src/x509/pem.ts';
import { TestProcess } from '../harness/child-process.ts';
import { buildGo } from '../harness/go.ts';
import { describeWithGo } from '../harness/requires.ts';
import { TestServer } from '../harness/running-server.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../harness/temporary-folder.ts';

const run = promisify(execFile);
const MODULE = fileURLToPath(new URL('./workload-api', import.meta.url));
const OWN = parseTrustDomain('example.org');
const PARTNER = parseTrustDomain('partner.test');

describeWithGo('go-spiffe 2.9.0 and federation', () => {
  const resources = new AsyncDisposableStack();
  let folder: TemporaryFolder;
  let executable: string;
  let web: TestAuthority;
  beforeAll(async () => {
    folder = resources.use(await createTemporaryFolder());
    executable = await buildGo(MODULE, 'federation');
    web = await TestAuthority.create('web.test');
    const { certificatePem, privateKeyPem } = await web.issueLeaf({ dnsNames: ['localhost'] });
    await writeFile(folder.join('web-ca.pem'), encodePem('CERTIFICATE', web.certificate.der));
    await writeFile(folder.join('web.pem'), certificatePem);
    await writeFile(folder.join('web.key'), privateKeyPem);
  });
  afterAll(() => resources.disposeAsync());

  const start = async (profile: string) => {
    const own = resources.use(await createTemporaryFolder());
    const settings = `federation { bundle_endpoint { address = "127.0.0.1" port = 1 ${profile} } }`;
    const server = resources.use(await TestServer.start({ folder: own.path, settings }));
    await writeFile(folder.join('own.pem'), formatBundlePem(server.running.bundle));
    return server;
  };
  const fetchByGo = async (server: TestServer, ...how: readonly string[]) => {
    const url = `https://localhost:${server.running.bundleEndpointPort}/`;
    const { stdout } = await run(executable, ['fetch', url, OWN, ...how]);
    return parseBundleDocument(stdout, OWN);
  };
  /** As a document has it: without the end of keys, in no order. */
  const served = (bundle: Bundle, refreshHintSeconds: number) =>
    parseBundleDocument(formatBundleDocument({ ...bundle, refreshHintSeconds }), OWN);

  test('its client reads our endpoint by https_spiffe', async () => {
    const server = await start('refresh_hint = "2m" profile "https_spiffe" {}');
    const bundle = await fetchByGo(server, 'spiffe', folder.join('own.pem'), 'spiffe://example.org/spire/server');
    expect(bundle).toEqual(served(server.running.bundle, 120));
    await expect(fetchByGo(server, 'spiffe', folder.join('own.pem'), 'spiffe://example.org/other')).rejects.toThrow(
      /unexpected ID "spiffe:\/\/example\.org\/spire\/server"/,
    );
    await expect(fetchByGo(server, 'web', folder.join('web-ca.pem'))).rejects.toThrow(/x509/);
  });

  test('its client reads our endpoint by https_web', async () => {
    const files = `cert_file_path = "${folder.join('web.pem')}" key_file_path = "${folder.join('web.key')}"`;
    const server = await start(`profile "https_web" { serving_cert_file { ${files} } }`);
    expect(await fetchByGo(server, 'web', folder.join('web-ca.pem'))).toEqual(served(server.running.bundle, 300));
  });

  test.each(['https_web', 'https_spiffe'] as const)('our client reads its endpoint by %s', async (type) => {
    const authority = await TestAuthority.create(PARTNER);
    const endpointSpiffeId = parseSpiffeId('spiffe://partner.test/endpoint');
    const shown =
      type === 'https_web'
        ? await web.issueLeaf({ dnsNames: ['localhost'] })
        : await authority.issue({ spiffeId: endpointSpiffeId });
    const bundle: Bundle = { ...authority.bundle(), refreshHintSeconds: 77, sequenceNumber: 2n ** 63n };
    await writeFile(folder.join('served.json'), formatBundleDocument(bundle));
    await writeFile(folder.join('served.pem'), shown.certificatePem);
    await writeFile(folder.join('served.key'), shown.privateKeyPem);
    const files = ['served.json', 'served.pem', 'served.key'].map((name) => folder.join(name));
    await using endpoint = await TestProcess.start(executable, ['serve', PARTNER, ...files]);
    const port = (await endpoint.readLine())?.split(':').at(-1);
    const fetched = await fetchBundle(
      {
        trustDomain: PARTNER,
        bundleEndpointUrl: `https://localhost:${port}`,
        profile: type === 'https_web' ? { type } : { type, endpointSpiffeId },
      },
      {
        findBundle: () => authority.bundle(),
        webRoots: () => webContextOf([encodePem('CERTIFICATE', web.certificate.der)]),
        requirePqKem: false,
        deadlineMs: 20_000,
        signal: new AbortController().signal,
      },
    );
    expect(fetched).toEqual(bundle);
  });
});
