import { afterAll, beforeAll, expect, test } from 'vitest';
import { findFederatedBundle } from '../../src/agent/server-api/fetch-bundles.ts';
import { isVerdict, refusalOf } from '../../src/agent/server-api/refusal.ts';
import type { ServerConnection } from '../../src/agent/server-api/server-connection.ts';
import { type Entries, fetchEntries } from '../../src/agent/server-api/sync-entries.ts';
import { EntryDefinition } from '../../src/gen/spire/api/server/entry/v1/entry.ts';
import {
  Entry,
  EntryMask,
  PermissionDeniedDetails,
  PermissionDeniedDetails_Reason as Reason,
} from '../../src/gen/spire/api/types/types.ts';
import { PluginError } from '../../src/plugin-host/plugin-error.ts';
import { RemoteError } from '../../src/rpc/status.ts';
import { Status } from '../../src/spiffe/status.ts';
import { parseTrustDomain } from '../../src/spiffe/trust-domain.ts';
import { anonymousConnection, joinByHand, joinRequest } from './joined-by-hand.ts';
import { MYSELF, NODE_PATH, TestDomain } from './test-domain.ts';

const resources = new AsyncDisposableStack();
let domain: TestDomain;
let connection: ServerConnection;
const { signal } = new AbortController();

beforeAll(async () => {
  domain = resources.use(await TestDomain.start());
  connection = resources.adopt(await joinByHand(domain), (opened) => opened[Symbol.dispose]());
});
afterAll(() => resources.disposeAsync());

const sync = (known: Entries, sparse = true) => fetchEntries({ connection, known, sparse, signal });

test('of many entries, only those that changed come again', async () => {
  const COUNT = 1_300; // three pages of entries
  const entries = Array.from({ length: COUNT }, (_, index) =>
    Entry.fromPartial({
      id: `entry-${index}`,
      spiffeId: { trustDomain: 'example.org', path: `/workload/${index}` },
      parentId: { trustDomain: 'example.org', path: NODE_PATH },
      selectors: [MYSELF],
    }),
  );
  const api = domain.server.admin(EntryDefinition);
  await api.batchCreateEntry({ entries, outputMask: EntryMask.create() });
  const first = await sync(new Map());
  expect(first.size).toBe(COUNT + 1); // and the alias of the node
  expect(first.get('entry-7')).toMatchObject({ spiffeId: 'spiffe://example.org/workload/7', selectors: [MYSELF] });

  const inputMask = EntryMask.create({ hint: true });
  await api.batchUpdateEntry({
    entries: [Entry.fromPartial({ id: 'entry-7', hint: 'new' })],
    inputMask,
    outputMask: inputMask,
  });
  await api.batchDeleteEntry({ ids: ['entry-8'] });
  const second = await sync(first);
  expect(second.size).toBe(COUNT);
  expect(second.get('entry-7')).toMatchObject({ hint: 'new', revisionNumber: 1 });
  expect([...second.values()].filter((entry) => first.get(entry.id) !== entry).map(({ id }) => id)).toEqual([
    'entry-7',
  ]);

  const whole = await sync(second, false);
  expect([...whole].every(([id, entry]) => second.get(id) === entry) && whole.size === second.size).toBe(true);
});

test('a call that is under way outlives the change to a new connection', async () => {
  using anonymous = anonymousConnection(domain);
  const { request } = await joinRequest(await domain.createToken());
  const step = await anonymous.run(async ({ agent }) => {
    await using call = agent.attestAgent({ deadlineMs: 10_000 });
    await anonymous.run(({ bundle }) => bundle.getBundle({ outputMask: undefined })); // connected now
    anonymous.reconnect();
    await call.send(request);
    return (await call.receive())?.step;
  });
  expect(step?.$case).toBe('result');
  await expect(anonymous.run(({ bundle }) => bundle.getBundle({ outputMask: undefined }))).resolves.toBeDefined();
});

test('a federated bundle that the server does not have is undefined', async () => {
  expect(await findFederatedBundle(connection, parseTrustDomain('nobody.org'), signal)).toBeUndefined();
});

test.each([
  ['AGENT_BANNED', 'banned'],
  ['AGENT_NOT_ATTESTED', 'evicted'],
  ['AGENT_NOT_ACTIVE', 'evicted'],
  ['AGENT_EXPIRED', 'evicted'],
  ['AGENT_MUST_REATTEST', 'must_reattest'],
  ['UNKNOWN', undefined],
] as const)('the reason %s means %s (inventory B006)', (reason, refusal) => {
  const value = PermissionDeniedDetails.encode({ reason: Reason[reason] }).finish();
  const typeUrl = 'type.googleapis.com/spire.api.types.PermissionDeniedDetails';
  const error = (details: readonly { typeUrl: string; value: Uint8Array }[]) =>
    new RemoteError(Status.PermissionDenied, 'no', details);
  expect(refusalOf(error([{ typeUrl, value }]))).toBe(refusal);
  expect(refusalOf(error([{ typeUrl: 'type.googleapis.com/other', value }]))).toBeUndefined();
  expect(refusalOf(error([{ typeUrl, value: Uint8Array.of(0xff) }]))).toBeUndefined();
  expect(refusalOf(error([]))).toBeUndefined();
  const ofPlugin = new PluginError(Status.PermissionDenied, 'no', [{ typeUrl, value }]);
  expect(refusalOf(ofPlugin)).toBeUndefined();
  expect([isVerdict(ofPlugin), isVerdict(error([]))]).toEqual([false, true]);
});
