import { readFile, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { TrustDomainDefinition } from '../../src/gen/spire/api/server/trustdomain/v1/trustdomain.ts';
import { TestAuthority } from '../../src/testing/test-authority.ts';
import { encodePem } from '../../src/x509/pem.ts';
import { freePort } from '../harness/free-port.ts';
import { describeWithGo } from '../harness/requires.ts';
import { createTemporaryFolder } from '../harness/temporary-folder.ts';
import { FederatedDomain } from './federated-domain.ts';
import { Traffic } from './traffic.ts';

const WAIT = { timeout: 60_000, interval: 200 };
const TIME = { timeout: 240_000 };

/** Of one trust domain, whose workloads talk to those of the other. */
interface Side {
  readonly domain: FederatedDomain;
  readonly traffic: Traffic;
}

describeWithGo('two trust domains, one known by https_spiffe and one by https_web', () => {
  const resources = new AsyncDisposableStack();
  let a: Side;
  let b: Side;

  beforeAll(async () => {
    const folder = resources.use(await createTemporaryFolder());
    const web = await TestAuthority.create('web.test');
    const { certificatePem, privateKeyPem } = await web.issueLeaf({ dnsNames: ['localhost'] });
    const webCaPath = folder.join('web-ca.pem');
    await writeFile(webCaPath, encodePem('CERTIFICATE', web.certificate.der));
    await writeFile(folder.join('web.pem'), certificatePem);
    await writeFile(folder.join('web.key'), privateKeyPem);
    const files = `cert_file_path = "${folder.join('web.pem')}" key_file_path = "${folder.join('web.key')}"`;
    const [portA, portB] = [await freePort(), await freePort()];
    const domainA = resources.use(
      await FederatedDomain.start({
        name: 'a.test',
        profile: 'profile "https_spiffe" {}',
        bundleEndpointPort: portA,
        federation: `federates_with "b.test" {
      bundle_endpoint_url = "https://localhost:${portB}/"
      bundle_endpoint_profile "https_web" {}
    }`,
        webCaPath,
      }),
    );
    const domainB = resources.use(
      await FederatedDomain.start({
        name: 'b.test',
        profile: `profile "https_web" { serving_cert_file { ${files} file_sync_interval = "1s" } }`,
        bundleEndpointPort: portB,
        webCaPath,
      }),
    );
    await domainA.refresh('b.test'); // it was asked before that server was there
    const { stdout: bundleOfA } = await domainA.server.run(['bundle', 'show']);
    await writeFile(folder.join('a.pem'), bundleOfA);
    const created = await domainB.server.run([
      ...['federation', 'create', '-trustDomain', 'a.test', '-bundleEndpointURL', `https://127.0.0.1:${portA}/`],
      ...['-bundleEndpointProfile', 'https_spiffe', '-endpointSpiffeID', 'spiffe://a.test/spire/server'],
      ...['-trustDomainBundlePath', folder.join('a.pem')],
    ]);
    expect(created).toMatchObject({ code: 0, stderr: '' });
    await domainA.entitle('/api', 'b.test');
    await domainB.entitle('/client', 'a.test');
    await domainA.startAgent();
    await domainB.startAgent();
    const { traffic: server, address } = await Traffic.serve(domainA.agentSocket, 'spiffe://b.test/client');
    a = { domain: domainA, traffic: resources.use(server) };
    const client = await Traffic.dial(domainB.agentSocket, address, 'spiffe://a.test/api');
    b = { domain: domainB, traffic: resources.use(client) };
  }, TIME.timeout);
  afterAll(() => resources.disposeAsync());

  /** Traffic goes on, and no handshake has failed since it began. */
  async function expectTraffic(): Promise<void> {
    for (const { traffic } of [a, b]) {
      const { handshakes } = await traffic.report();
      await expect.poll(async () => (await traffic.report()).handshakes, WAIT).toBeGreaterThan(handshakes + 20);
      expect((await traffic.report()).failures ?? []).toEqual([]);
    }
  }

  async function rotate(own: Side, partner: Side): Promise<void> {
    const { active, next } = await own.domain.prepare();
    expect((await own.traffic.report()).signedBy).toBe(active);
    await partner.domain.refresh(own.domain.name);
    await expect.poll(async () => (await partner.traffic.report()).trusted, WAIT).toContain(next);
    await expect.poll(() => own.domain.agentTrusts(next), WAIT).toBe(true);
    await own.domain.activate(next);
    await own.domain.taint(active);
    await expect.poll(async () => (await own.traffic.report()).signedBy, WAIT).toBe(next);
    await expectTraffic(); // no handshake is under way with the SVID before
    await own.domain.revoke(active);
    await partner.domain.refresh(own.domain.name);
    await expect.poll(async () => (await partner.traffic.report()).trusted, WAIT).toEqual([next]);
  }

  test('workloads of one talk to those of the other', TIME, async () => {
    await expectTraffic();
  });

  test('no handshake fails while either replaces its authority, and revokes the one before', TIME, async () => {
    await rotate(a, b);
    await rotate(b, a);
    await rotate(a, b);
    await expectTraffic();
  });

  test('a partner that is killed is missed by nobody, and is there again once it runs', TIME, async () => {
    b.domain.server.program.signal('SIGKILL');
    await b.domain.server.program.ended();
    await expect(a.domain.refresh('b.test')).rejects.toThrow(/failed to refresh bundle: cannot connect to localhost/);
    expect(await a.domain.countBundles()).toBe(2);
    await a.domain.entitle('/another', 'b.test');
    await expectTraffic();
    await b.domain.restartServer();
    await a.domain.refresh('b.test');
    await rotate(b, a);
    await expectTraffic();
  });

  test('a partner that does not answer holds up nothing but what waits for it', TIME, async () => {
    process.kill(b.domain.server.program.pid, 'SIGSTOP');
    try {
      const refreshing = a.domain.refresh('b.test');
      const startedAt = performance.now();
      expect(await a.domain.countBundles()).toBe(2);
      const relationships = await a.domain.call(TrustDomainDefinition, (api) =>
        api.listFederationRelationships({ outputMask: undefined, pageSize: 0, pageToken: '' }, { deadlineMs: 10_000 }),
      );
      expect(relationships.federationRelationships).toEqual([]); // that of the configuration is not listed, as in SPIRE
      await expectTraffic();
      expect(performance.now() - startedAt).toBeLessThan(30_000);
      process.kill(b.domain.server.program.pid, 'SIGCONT');
      await refreshing;
    } finally {
      process.kill(b.domain.server.program.pid, 'SIGCONT');
    }
  });

  test('a certificate of files that is another is shown, without a restart', TIME, async () => {
    const text = await readFile(`${b.domain.folder.path}/server.conf`, 'utf8');
    const [, certificate = '', key = ''] = /cert_file_path = "(.*?)" key_file_path = "(.*?)"/.exec(text) ?? [];
    const stranger = await TestAuthority.create('web.test', 'Stranger');
    const leaf = await stranger.issueLeaf({ dnsNames: ['localhost'] });
    await writeFile(certificate, leaf.certificatePem);
    await writeFile(key, leaf.privateKeyPem);
    await expect
      .poll(
        () =>
          a.domain.refresh('b.test').then(
            () => 'refreshed',
            (error: Error) => error.message,
          ),
        WAIT,
      )
      .toMatch(/the bundle endpoint is not authenticated: its certificate leads to no authority that is trusted here/);
    await expectTraffic();
  });
});
