import { expect, test } from 'vitest';
import { openDatastore, type Repositories } from '../../src/datastore/datastore.ts';
import { datastoreKey, measuredDatastore } from '../../src/server/datastore-metrics.ts';
import { isSpiffeError } from '../../src/spiffe/error.ts';
import { parseTrustDomain } from '../../src/spiffe/trust-domain.ts';
import { MetricFilter } from '../../src/telemetry/metric-filter.ts';
import { Metrics } from '../../src/telemetry/metrics.ts';
import { createTemporaryFolder } from '../harness/temporary-folder.ts';

const trustDomain = parseTrustDomain('example.org');
const bundle = { trustDomain, x509Authorities: [], jwtAuthorities: [], refreshHintSeconds: 0, sequenceNumber: 0n };
const AGGREGATES: readonly (keyof Repositories)[] = [
  'entries',
  'agents',
  'joinTokens',
  'bundles',
  'caJournal',
  'federationRelationships',
];

/** Inventory M009 to M043, without what no repository of ours does by itself: see docs/metrics.md. */
const ROWS = [
  ...['append', 'count', 'create', 'delete', 'fetch', 'list', 'prune', 'set'].map((what) => `bundle.${what}`),
  ...['create', 'delete', 'fetch', 'prune'].map((what) => `join_token.${what}`),
  ...['count', 'create', 'delete', 'fetch', 'list', 'selectors.set', 'update'].map((what) => `node.${what}`),
  ...['list', 'prune', 'fetch'].map((what) => `node_event.${what}`),
  ...['count', 'create', 'delete', 'fetch', 'list', 'prune', 'update'].map((what) => `registration_entry.${what}`),
  ...['list', 'prune', 'fetch'].map((what) => `registration_entry_event.${what}`),
];

async function openMeasured(folder: string) {
  const metrics = new Metrics({
    prefix: 'spire_server',
    labels: [],
    filter: new MetricFilter({ allowedPrefixes: [], blockedPrefixes: [], allowedLabels: [], blockedLabels: [] }),
  });
  const stored = await openDatastore({ path: `${folder}/datastore.sqlite3` });
  return { metrics, stored, datastore: measuredDatastore(stored, metrics, undefined) };
}

test('every row of SPIRE’s is what some method of a repository is counted as', async () => {
  await using folder = await createTemporaryFolder();
  const { stored } = await openMeasured(folder.path);
  await using _closed = stored;
  const keys = AGGREGATES.flatMap((aggregate) =>
    Object.getOwnPropertyNames(Object.getPrototypeOf(stored[aggregate]))
      .filter((name) => name !== 'constructor')
      .map((name) => datastoreKey(aggregate, name)),
  );
  expect(ROWS.map((row) => `datastore.${row}`).filter((key) => !keys.includes(key))).toEqual([]);
});

test('calls are counted with their status and timed, in transactions too, and once each', async () => {
  await using folder = await createTemporaryFolder();
  const { metrics, datastore } = await openMeasured(folder.path);
  await using _closed = datastore;
  await datastore.bundles.create(bundle);
  await expect(datastore.bundles.create(bundle)).rejects.toSatisfy((error) => isSpiffeError(error, 'ALREADY_EXISTS'));
  await datastore.transaction(async ({ bundles, joinTokens }) => {
    await bundles.set({ ...bundle, refreshHintSeconds: 60 });
    await joinTokens.create({ token: 'once', expiresAt: 1 });
    await joinTokens.consume('once');
  });
  await expect(datastore.joinTokens.consume('once')).rejects.toThrow();
  const lines = (await metrics.render()).split('\n');
  const counts = lines.filter((line) => /^spire_server_datastore_[a-z_]+\{/.test(line) && !/elapsed/.test(line));
  expect(counts.sort()).toEqual([
    'spire_server_datastore_bundle_create{status="AlreadyExists"} 1',
    'spire_server_datastore_bundle_create{status="OK"} 1',
    'spire_server_datastore_bundle_set{status="OK"} 1',
    'spire_server_datastore_join_token_create{status="OK"} 1',
    'spire_server_datastore_join_token_delete{status="NotFound"} 1',
    'spire_server_datastore_join_token_delete{status="OK"} 1',
  ]);
  expect(lines).toContain('spire_server_datastore_bundle_create_elapsed_time_count{status="OK"} 1');
});

test('what a datastore has beside its repositories is the datastore’s', async () => {
  await using folder = await createTemporaryFolder();
  const { datastore } = await openMeasured(folder.path);
  await using _closed = datastore;
  const heard: unknown[] = [];
  datastore.changes.subscribe((change) => heard.push(change));
  await datastore.bundles.create(bundle);
  await expect.poll(() => heard).toContainEqual(expect.objectContaining({ log: 'bundle' }));
});
