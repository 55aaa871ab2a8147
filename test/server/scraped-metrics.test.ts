import { expect, test, vi } from 'vitest';
import { AgentDefinition } from '../../src/gen/spire/api/server/agent/v1/agent.ts';
import { BundleDefinition } from '../../src/gen/spire/api/server/bundle/v1/bundle.ts';
import { EntryDefinition } from '../../src/gen/spire/api/server/entry/v1/entry.ts';
import { SVIDDefinition } from '../../src/gen/spire/api/server/svid/v1/svid.ts';
import { Bundle, Entry } from '../../src/gen/spire/api/types/types.ts';
import { TestServer } from '../harness/running-server.ts';
import { createTemporaryFolder } from '../harness/temporary-folder.ts';
import { apiId, attestByJoinToken, newCsr } from './callers.ts';

vi.setConfig({ testTimeout: 120_000 });

/** Inventory M001 to M061, after the prefix: what is there once it has been used. Rows that no server of ours has are in docs/metrics.md. */
const ROWS = [
  ['M001', 'rpc_svid_v1_svid_mint_x509svid'],
  ['M006', 'ca_manager_jwt_key_prepare'],
  ['M007', 'ca_manager_x509_ca_activate'],
  ['M008', 'ca_manager_x509_ca_prepare'],
  ['M010', 'datastore_bundle_count'],
  ['M012', 'datastore_bundle_delete'],
  ['M013', 'datastore_bundle_fetch'],
  ['M014', 'datastore_bundle_list'],
  ['M016', 'datastore_bundle_set'],
  ['M017', 'datastore_bundle_update'],
  ['M018', 'datastore_join_token_create'],
  ['M019', 'datastore_join_token_delete'],
  ['M020', 'datastore_join_token_fetch'],
  ['M022', 'datastore_node_count'],
  ['M023', 'datastore_node_create'],
  ['M024', 'datastore_node_delete'],
  ['M025', 'datastore_node_fetch'],
  ['M026', 'datastore_node_list'],
  ['M030', 'datastore_node_update'],
  ['M031', 'datastore_node_event_list'],
  ['M033', 'datastore_node_event_fetch'],
  ['M034', 'datastore_registration_entry_count'],
  ['M035', 'datastore_registration_entry_create'],
  ['M036', 'datastore_registration_entry_delete'],
  ['M037', 'datastore_registration_entry_fetch'],
  ['M038', 'datastore_registration_entry_list'],
  ['M040', 'datastore_registration_entry_update'],
  ['M041', 'datastore_registration_entry_event_list'],
  ['M043', 'datastore_registration_entry_event_fetch'],
  ['M044', 'entry_cache_reload'],
  ['M048', 'entry_nodealiases_by_entryid_cache_count'],
  ['M050', 'entry_entries_by_entryid_cache_count'],
  ['M052', 'manager_jwt_key_activate'],
  ['M053', 'manager_x509_ca_rotate_expiration'],
  ['M054', 'manager_x509_ca_rotate_ttl'],
  ['M056', 'server_ca_sign_jwt_svid'],
  ['M058', 'server_ca_sign_x509_svid'],
  ['M059', 'svid_rotate'],
  ['M060', 'started'],
  ['M061', 'uptime_in_ms'],
] as const;

test('a server that was used has SPIRE’s metrics of what it did', async () => {
  await using folder = await createTemporaryFolder();
  await using server = await TestServer.start({
    folder: folder.path,
    telemetry: 'Prometheus { port = 9988 }',
    settings: 'default_x509_svid_ttl = "4s"', // its own is rotated
  });
  const { csr } = await newCsr({ uriNames: ['spiffe://example.org/web'] });
  await server.admin(SVIDDefinition).mintX509SVID({ csr, ttl: 0 });
  await server.admin(SVIDDefinition).mintJWTSVID({ id: apiId('/web'), audience: ['a'], ttl: 0 });
  const bundles = server.admin(BundleDefinition);
  const bundle = [Bundle.fromPartial({ trustDomain: 'partner.test' })];
  await bundles.batchSetFederatedBundle({ bundle, outputMask: undefined });
  await bundles.batchUpdateFederatedBundle({ bundle, inputMask: undefined, outputMask: undefined });
  await bundles.listFederatedBundles({ outputMask: undefined, pageSize: 0, pageToken: '' });
  await bundles.countBundles({});
  await bundles.getFederatedBundle({ trustDomain: 'partner.test', outputMask: undefined });
  await bundles.batchDeleteFederatedBundle({ trustDomains: ['partner.test'], mode: 0 });
  const entries = server.admin(EntryDefinition);
  const wanted = Entry.fromPartial({
    spiffeId: apiId('/web'),
    parentId: apiId('/node'),
    selectors: [{ type: 'unix', value: 'uid:1' }],
  });
  const { results } = await entries.batchCreateEntry({ entries: [wanted], outputMask: undefined });
  const id = results[0]?.entry?.id ?? '';
  await entries.batchUpdateEntry({
    entries: [{ ...wanted, id, hint: 'x' }],
    inputMask: undefined,
    outputMask: undefined,
  });
  await entries.getEntry({ id, outputMask: undefined });
  await entries.listEntries({ filter: undefined, outputMask: undefined, pageSize: 0, pageToken: '' });
  await entries.countEntries({ filter: undefined });
  await entries.batchDeleteEntry({ ids: [id] });
  using agent = await attestByJoinToken(server);
  const agents = server.admin(AgentDefinition);
  await agents.listAgents({ filter: undefined, outputMask: undefined, pageSize: 0, pageToken: '' });
  await agents.countAgents({ filter: undefined });
  await agents.banAgent({ id: agent.id });
  await agents.deleteAgent({ id: agent.id });

  const missing = async () => {
    const text = await (await fetch(`http://localhost:${server.metricsPort}/metrics`)).text();
    const names = new Set(text.split('\n').map((line) => line.split(/[{ ]/)[0]));
    return ROWS.filter(([, name]) => !names.has(`spire_server_${name}`));
  };
  await expect.poll(missing, { timeout: 40_000, interval: 500 }).toEqual([]);
});
