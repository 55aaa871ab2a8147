import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { writeFileAtomically } from '../../src/files/write-file-atomically.ts';
import { SVIDDefinition } from '../../src/gen/spire/api/server/svid/v1/svid.ts';
import { TrustDomainDefinition } from '../../src/gen/spire/api/server/trustdomain/v1/trustdomain.ts';
import { encodePem } from '../../src/x509/pem.ts';
import { findSeries, readExposition } from '../harness/exposition.ts';
import { describeWithGo } from '../harness/requires.ts';
import { TestServer } from '../harness/running-server.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../harness/temporary-folder.ts';
import { newCsr } from './callers.ts';

const run = promisify(execFile);
let folder: TemporaryFolder;
beforeEach(async () => {
  folder = await createTemporaryFolder();
});
afterEach(() => folder[Symbol.asyncDispose]());

const start = async (telemetry: string, more = {}) =>
  await TestServer.start({ folder: folder.path, telemetry, ...more });
const scrape = async (server: TestServer) => {
  const answer = await fetch(`http://localhost:${server.metricsPort}/metrics`);
  return await answer.text();
};

describeWithGo('a server’s metrics, as Prometheus reads them', () => {
  test('have SPIRE’s names: calls with status and time, start and uptime (M001, M060, M061)', async () => {
    await using server = await start('Prometheus { port = 9988 }');
    const { csr } = await newCsr({ uriNames: ['spiffe://example.org/web'] });
    await server.admin(SVIDDefinition).mintX509SVID({ csr, ttl: 0 });
    await expect(server.admin(SVIDDefinition).mintX509SVID({ csr: new Uint8Array(1), ttl: 0 })).rejects.toThrow();
    const all = await readExposition(await scrape(server));
    const rpc = 'spire_server_rpc_svid_v1_svid_mint_x509svid';
    expect(findSeries(all, rpc, { status: 'OK' })).toMatchObject({ kind: 'COUNTER', value: 1 });
    expect(findSeries(all, rpc, { status: 'InvalidArgument' }).value).toBe(1);
    expect(findSeries(all, `${rpc}_elapsed_time`, { status: 'OK' })).toMatchObject({ kind: 'HISTOGRAM', value: 1 });
    const { labels } = findSeries(all, 'spire_server_started');
    expect(labels).toMatchObject({ trust_domain_id: 'example_org', version: 'assayer' });
    expect(labels.host).toMatch(/./);
    expect(findSeries(all, 'spire_server_uptime_in_ms').value).toBeGreaterThan(0);
    const plugin = { plugin_type: 'KeyManager', plugin_name: 'memory' };
    expect(findSeries(all, 'spire_server_plugin_up', plugin).value).toBe(1);
    expect(findSeries(all, 'spire_server_plugin_rpc', { ...plugin, method: 'SignData' }).value).toBeGreaterThan(1);
    // What is part of the program has no process that could be down.
    expect(all.filter(({ labels: { plugin_name: name } }) => name === 'join_token' || name === 'sql')).toEqual([]);
  });

  test('tell of each federated trust domain (M002, M003)', async () => {
    await using server = await start('Prometheus { port = 9988 }');
    const federationRelationship = (trustDomain: string) => ({
      trustDomain,
      bundleEndpointUrl: 'https://127.0.0.1:1/',
      bundleEndpointProfile: { $case: 'httpsWeb', value: {} } as const,
      trustDomainBundle: undefined,
    });
    const api = server.admin(TrustDomainDefinition);
    const federationRelationships = [federationRelationship('a.test')];
    await api.batchCreateFederationRelationship({ federationRelationships, outputMask: undefined });
    await expect(api.refreshBundle({ trustDomain: 'a.test' })).rejects.toThrow(/cannot connect/);
    const fetched = 'spire_server_bundle_manager_fetch_federated_bundle';
    const labels = { trust_domain_id: 'a_test', status: 'Unavailable' };
    const all = await readExposition(await scrape(server));
    expect(findSeries(all, fetched, labels).value).toBeGreaterThan(0);
    expect(findSeries(all, `${fetched}_elapsed_time`, labels).kind).toBe('HISTOGRAM');
    expect(all.filter(({ name }) => name.includes('bundle_manager_update'))).toEqual([]);
  });

  test('are named and labelled as configured (C153 to C159)', async () => {
    await using server = await start(`
      Prometheus { port = 9988 }
      MetricPrefix = "assayer"
      EnableTrustDomainLabel = true
      EnableHostnameLabel = false
      BlockedPrefixes = ["assayer"]
      AllowedPrefixes = ["assayer.plugin.up", "assayer.started", "assayer.uptime"]
      BlockedLabels = ["plugin_type"]`);
    const all = await readExposition(await scrape(server));
    expect(all.map(({ name, labels }) => [name, labels])).toEqual([
      ['assayer_plugin_up', { plugin_name: 'memory', trust_domain: 'example_org' }],
      ['assayer_started', { trust_domain: 'example_org', trust_domain_id: 'example_org', version: 'assayer' }],
      ['assayer_uptime_in_ms', { trust_domain: 'example_org' }],
    ]);
  });
});

test('without a configured endpoint there is none; InMem tells the log when plugins are reloaded, as at SIGUSR1', async () => {
  await using server = await start('InMem {}');
  expect(() => server.metricsPort).toThrow('no metrics are served');
  expect(server.records.filter(({ message }) => message === 'metric')).toEqual([]);
  await server.running.reloadChangedPlugins();
  const names = server.records.filter(({ message }) => message === 'metric').map(({ fields }) => fields.name);
  expect(names).toContain('spire_server_started');
});

test('use_spire_svid: its own X.509-SVID, whose successor is shown too; authorized clients alone', async () => {
  const tls = 'tls { use_spire_svid = true authorized_spiffe_ids = ["spiffe://example.org/prometheus"] }';
  await using server = await start(`Prometheus { port = 9988 ${tls} }`, {
    settings: 'default_x509_svid_ttl = "4s"',
  });
  const curl = async (spiffeId?: string) => {
    const own = spiffeId === undefined ? [] : await writeSvid(server, spiffeId);
    const url = `https://localhost:${server.metricsPort}/metrics`;
    const { stdout } = await run('curl', ['--silent', '--show-error', '--fail', '--insecure', ...own, url]);
    return stdout;
  };
  expect(await curl('spiffe://example.org/prometheus')).toMatch(/^# HELP/);
  await expect(curl()).rejects.toMatchObject({ stdout: '' });
  await expect(curl('spiffe://example.org/other')).rejects.toMatchObject({ stdout: '' });
  const refused = server.records.filter(({ message }) => message === 'a connection was refused');
  expect(refused.map(({ fields }) => fields.reason)).toEqual([
    'a client without X.509-SVID is not authorized',
    'spiffe://example.org/other is not authorized',
  ]);
  const shown = new Set<string>();
  await expect.poll(async () => shown.add(await serialNumberAt(server.metricsPort)).size).toBe(2);
  const s_client = `openssl s_client -connect localhost:${server.metricsPort} </dev/null 2>/dev/null`;
  const { stdout } = await run('sh', ['-c', `${s_client} | openssl x509 -noout -ext subjectAltName`]);
  expect(stdout).toMatch(/URI:spiffe:\/\/example\.org\/spire\/server$/m);
});

test('authorized_spiffe_ids beside cert_file: a certificate of files, clients by X.509-SVID', async () => {
  const files = ['-keyout', folder.join('web.key'), '-out', folder.join('web.pem')];
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-noenc'];
  await run('openssl', [
    'req',
    '-x509',
    ...key,
    ...files,
    '-subj',
    '/CN=web',
    '-addext',
    'subjectAltName=DNS:localhost',
  ]);
  await using server = await start(`Prometheus { port = 9988 tls {
    cert_file = "${folder.join('web.pem')}" key_file = "${folder.join('web.key')}"
    authorized_spiffe_ids = ["spiffe://example.org/prometheus"] } }`);
  const url = `https://localhost:${server.metricsPort}/metrics`;
  const ca = ['--silent', '--fail', '--cacert', folder.join('web.pem')];
  const own = await writeSvid(server, 'spiffe://example.org/prometheus');
  expect((await run('curl', [...ca, ...own, url])).stdout).toMatch(/^# HELP/);
  await expect(run('curl', [...ca, url])).rejects.toMatchObject({ stdout: '' });
});

test('a certificate that cannot be read ends the start, with its key of the configuration', async () => {
  await expect(
    start('Prometheus { port = 9988 tls { cert_file = "/none" key_file = "/none" } }'),
  ).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    message: expect.stringMatching(/^telemetry\.Prometheus\.tls\.cert_file: ENOENT/),
  });
});

async function serialNumberAt(port: number): Promise<string> {
  const command = `openssl s_client -connect localhost:${port} </dev/null 2>/dev/null | openssl x509 -noout -serial`;
  return (await run('sh', ['-c', command])).stdout;
}

/** @returns options of curl. */
async function writeSvid(server: TestServer, spiffeId: string): Promise<readonly string[]> {
  const { csr, privateKey } = await newCsr({ uriNames: [spiffeId] });
  const { svid } = await server.admin(SVIDDefinition).mintX509SVID({ csr, ttl: 600 });
  const pem = (svid?.certChain ?? []).map((der) => encodePem('CERTIFICATE', der)).join('');
  await writeFileAtomically(folder.join('client.pem'), pem);
  await writeFileAtomically(folder.join('client.key'), privateKey.export({ type: 'pkcs8', format: 'pem' }).toString());
  return ['--cert', folder.join('client.pem'), '--key', folder.join('client.key')];
}
