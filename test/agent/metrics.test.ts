import { execFile } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test, vi } from 'vitest';
import { DiscoveryRequest } from '../../src/gen/envoy/service/discovery/v3/discovery.ts';
import { SecretDiscoveryServiceDefinition } from '../../src/gen/envoy/service/secret/v3/sds.ts';
import { DebugDefinition } from '../../src/gen/spire/agent/debug/v1/debug.ts';
import { DelegatedIdentityDefinition } from '../../src/gen/spire/api/agent/delegatedidentity/v1/delegatedidentity.ts';
import { EntryDefinition } from '../../src/gen/spire/api/server/entry/v1/entry.ts';
import { Entry, EntryMask } from '../../src/gen/spire/api/types/types.ts';
import { RpcChannel } from '../../src/rpc/channel.ts';
import { createClient } from '../../src/rpc/client.ts';
import { authoritySteps } from '../harness/authority-steps.ts';
import { findSeries, readExposition } from '../harness/exposition.ts';
import { describeWithGo } from '../harness/requires.ts';
import { diskKeys, JOIN_TOKEN_AND_UNIX } from '../harness/running-agent.ts';
import { MYSELF, TestDomain } from './test-domain.ts';
import { AS_WORKLOAD, fetchIds, firstOf, workloadApi } from './workload.ts';

vi.setConfig({ testTimeout: 150_000 });
const run = promisify(execFile);

describeWithGo('an agent’s metrics, as Prometheus reads them', () => {
  test('have SPIRE’s names: calls with status and time, start and uptime (M062, M092, M093)', async () => {
    await using domain = await TestDomain.start();
    await domain.createEntry('/web');
    await using agent = await domain.startAgent('agent', { telemetry: 'Prometheus { port = 9988 }' });
    await fetchIds(agent);
    const scrape = async () =>
      await readExposition(await (await fetch(`http://localhost:${agent.metricsPort}/metrics`)).text());
    // The workload has left its stream, of which the agent learns a little later.
    const name = 'spire_agent_rpc_workload_api_fetch_x509svid';
    await expect.poll(async () => (await scrape()).filter((series) => series.name === name)).toHaveLength(1);
    const all = await scrape();
    expect(findSeries(all, name)).toMatchObject({ kind: 'COUNTER', value: 1 });
    expect(findSeries(all, `${name}_elapsed_time`)).toMatchObject({ kind: 'HISTOGRAM', value: 1 });
    expect(findSeries(all, 'spire_agent_started').labels).toMatchObject({ trust_domain_id: 'example_org' });
    expect(findSeries(all, 'spire_agent_uptime_in_ms').value).toBeGreaterThan(0);
    const attestor = { plugin_type: 'WorkloadAttestor', plugin_name: 'unix' };
    expect(findSeries(all, 'spire_agent_plugin_up', attestor).value).toBe(1);
    expect(findSeries(all, 'spire_agent_plugin_rpc', { ...attestor, method: 'Attest', status: 'OK' }).value).toBe(1);
  });
});

// Inventory M063 to M098, but for M065, which does not happen.
describeWithGo('what an agent does', () => {
  const WAIT = { timeout: 50_000, interval: 200 };
  const fileStore = fileURLToPath(new URL('../interop/sdk-plugins/file-store.ts', import.meta.url));

  test('is counted and timed under SPIRE’s names', async () => {
    await using domain = await TestDomain.start();
    const folder = domain.folder.join('kept');
    const admin = domain.folder.join('agent/admin/admin.sock');
    await mkdir(folder);
    const store = { selectors: [{ type: 'vault', value: 'name:kept' }], storeSvid: true };
    await domain.createEntry('/web');
    await domain.createEntry('/kept', store);
    const gone = await domain.createEntry('/gone', { selectors: [{ type: 'unix', value: 'uid:4000000000' }] });
    const options = {
      telemetry: 'Prometheus { port = 9988 }',
      settings: `join_token = "${await domain.createToken()}"
        admin_socket_path = "${admin}"
        authorized_delegates = ["spiffe://example.org/web"]
        availability_target = "24h"`,
      experimental: 'ratelimit { fetch_jwt_bundles = 1 }',
      plugins: `${diskKeys(domain.folder.join('agent'))}
        ${JOIN_TOKEN_AND_UNIX}
        SVIDStore "vault" {
          plugin_cmd = "${process.execPath}"
          plugin_args = ["${fileStore}"]
          plugin_data { folder = "${folder}" }
        }`,
    };
    let agent = await domain.startAgent('agent', options);
    await using _last = { [Symbol.asyncDispose]: () => agent[Symbol.asyncDispose]() };
    const scrape = async () => {
      const text = await (await fetch(`http://localhost:${agent.metricsPort}/metrics`)).text();
      const all = await readExposition(text);
      return (name: string, labels: Readonly<Record<string, string>> = {}) => {
        const found = all.filter(
          (series) =>
            series.name === `spire_agent_${name}` &&
            Object.entries(labels).every(([label, value]) => series.labels[label] === value),
        );
        return found.length === 0 ? undefined : found.reduce((sum, { value }) => sum + value, 0);
      };
    };
    const read = async (names: Readonly<Record<string, Readonly<Record<string, string>>>>) => {
      const sumOf = await scrape();
      return Object.fromEntries(Object.entries(names).map(([name, labels]) => [name, sumOf(name, labels)]));
    };

    // Caches, and how they came about: of /web, /gone, and the agent's alias.
    const sizes = {
      lru_cache_record_map_size: { svid_type: 'X509' },
      lru_cache_svid_map_size: { svid_type: 'X509' },
      lru_cache_entry_add: {},
      lru_cache_entry_remove: {},
      lru_cache_entry_update: {},
      jwt_svid_cache_size: {},
    };
    const first = { lru_cache_entry_add: 3, lru_cache_entry_remove: 0, lru_cache_entry_update: 0 };
    expect(await read(sizes)).toEqual({
      ...first,
      lru_cache_record_map_size: 3,
      lru_cache_svid_map_size: 3,
      jwt_svid_cache_size: 0,
    });
    expect(await read({ node_attestor_new_svid: { status: 'OK' } })).toEqual({ node_attestor_new_svid: 1 });
    const started = await read({
      agent_key_manager_generate_key_pair: { status: 'OK' },
      manager_sync_fetch_entries_updates: { status: 'OK' },
      manager_sync_fetch_svids_updates: { status: 'OK' },
    });
    expect(Object.entries(started).filter(([, value]) => value === undefined || value < 1)).toEqual([]);

    // Calls of workloads and administrators.
    const stream = workloadApi(agent).fetchX509SVID({}, AS_WORKLOAD);
    await stream.receive();
    const open = { workload_api_connections: {}, sds_api_connections: {}, debug_api_connections: {} };
    const delegated = { delegated_identity_api_connections: {} };
    await expect
      .poll(() => read({ ...open, ...delegated }), WAIT)
      .toEqual({
        workload_api_connections: 1,
        sds_api_connections: 0,
        debug_api_connections: 0,
        delegated_identity_api_connections: 0,
      });
    await stream[Symbol.asyncDispose]();
    await expect.poll(() => read(open), WAIT).toMatchObject({ workload_api_connections: 0 });
    await workloadApi(agent).fetchJWTSVID({ audience: ['a'], spiffeId: '' }, AS_WORKLOAD);
    const secrets = DiscoveryRequest.create({
      typeUrl: 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret',
      resourceNames: ['default'],
    });
    await agent.workload(SecretDiscoveryServiceDefinition).fetchSecrets(secrets);
    const bundles = () => firstOf(workloadApi(agent).fetchJWTBundles({}, AS_WORKLOAD));
    await bundles();
    await expect.poll(() => bundles().then(() => '', String), WAIT).toContain('experimental.ratelimit');
    using channel = RpcChannel.unix(admin);
    await createClient(DebugDefinition, channel).getInfo({});
    const delegation = createClient(DelegatedIdentityDefinition, channel);
    await firstOf(delegation.subscribeToX509SVIDs({ selectors: [MYSELF], pid: 0 }));
    const called = await read({
      workload_api_connection: {},
      sds_api_connection: {},
      debug_api_connection: {},
      delegated_identity_api_connection: {},
      delegated_identity_api_subscribe_x509_svid_first_x509_svid_update: {},
      workload_api_bundles_update_jwt: {},
      workload_api_rate_limit_exceeded: { method: 'FetchJWTBundles' },
      workload_api_workload_attestation: { status: 'OK' },
      workload_api_workload_attestation_elapsed_time: { status: 'OK' },
      workload_api_workload_attestor: { status: 'OK', attestor: 'unix' },
      workload_api_discovered_selectors: {},
      jwt_svid_cache_size: {},
    });
    expect(called).toMatchObject({
      sds_api_connection: 1,
      debug_api_connection: 1,
      delegated_identity_api_connection: 1,
      delegated_identity_api_subscribe_x509_svid_first_x509_svid_update: 1,
      jwt_svid_cache_size: 1,
    });
    expect(Object.entries(called).filter(([, value]) => value === undefined || value < 1)).toEqual([]);

    // Changes.
    const api = domain.server.admin(EntryDefinition);
    const changed = Entry.fromPartial({ id: gone, hint: 'new' });
    await api.batchUpdateEntry({
      entries: [changed],
      inputMask: EntryMask.create({ hint: true }),
      outputMask: undefined,
    });
    await expect
      .poll(() => read({ lru_cache_entry_update: {}, cache_manager_outdated_svids: { svid_type: 'X509' } }), WAIT)
      .toEqual({ lru_cache_entry_update: 1, cache_manager_outdated_svids: expect.any(Number) });
    await domain.deleteEntry(gone);
    await expect
      .poll(() => read({ lru_cache_entry_remove: {}, lru_cache_record_map_size: {} }), WAIT)
      .toEqual({ lru_cache_entry_remove: 1, lru_cache_record_map_size: 2 });
    for (const kind of ['X509', 'JWT'] as const) {
      const steps = authoritySteps(domain.server, kind);
      const old = await steps.active();
      const prepared = await steps.prepare();
      await expect
        .poll(() => agent.messages.filter((message) => message === 'trust bundle updated').length, WAIT)
        .toBe(kind === 'X509' ? 1 : 3);
      await steps.activate(prepared);
      await steps.taint(old);
      await expect
        .poll(() => agent.messages.filter((message) => message === 'trust bundle updated').length, WAIT)
        .toBe(kind === 'X509' ? 2 : 4);
    }
    const distrusted = {
      agent_svid_rotate: { status: 'OK' },
      cache_manager_expiring_svids: { svid_type: 'X509' },
      cache_manager_expiring_svids_svid_store: { svid_type: 'X509' },
      cache_manager_tainted_x509_svids_workload: {},
      cache_manager_tainted_x509_svids_svid_store: {},
      cache_manager_tainted_jwt_svids_workload: {},
      cache_manager_workload_process_tainted_jwt_svids: { status: 'OK' },
      cache_manager_workload_process_tainted_x509_svids: { status: 'OK' },
      cache_manager_svid_store_process_tainted_x509_svids: { status: 'OK' },
    };
    const missing = async () =>
      Object.entries(await read(distrusted)).flatMap(([name, value]) => ((value ?? 0) > 0 ? [] : [name]));
    await expect.poll(missing, WAIT).toEqual([]);
    const short = agent.records.filter(({ message }) => message.includes('availability_target, which does not count'));
    expect(short.length).toBeGreaterThan(1);

    // After a restart it looks for the key that it had.
    await agent[Symbol.asyncDispose]();
    agent = await domain.startAgent('agent', options);
    const { agent_key_manager_fetch_private_key: fetched } = await read({
      agent_key_manager_fetch_private_key: { status: 'OK' },
    });
    expect(fetched).toBeGreaterThan(0);
  });
});

test('use_spire_svid: shows the agent’s X.509-SVID, whose key stays in its key manager, and each that follows', async () => {
  await using domain = await TestDomain.start({ settings: 'agent_ttl = "6s"' });
  const telemetry = 'Prometheus { port = 9988 tls { use_spire_svid = true } }';
  await using agent = await domain.startAgent('agent', { telemetry });
  const url = `https://localhost:${agent.metricsPort}/metrics`;
  expect((await run('curl', ['--silent', '--fail', '--insecure', url])).stdout).toMatch(/^# HELP/);
  const shown = async (what: string) => {
    const certificate = `openssl s_client -connect localhost:${agent.metricsPort} </dev/null 2>/dev/null`;
    return (await run('sh', ['-c', `${certificate} | openssl x509 -noout ${what}`])).stdout;
  };
  expect(await shown('-ext subjectAltName')).toContain(`URI:${agent.running.agentId}`);
  const serialNumbers = new Set<string>();
  await expect.poll(async () => serialNumbers.add(await shown('-serial')).size, { timeout: 30_000 }).toBe(3);
});
