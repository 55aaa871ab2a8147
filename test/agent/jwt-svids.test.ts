import { afterAll, beforeAll, expect, test } from 'vitest';
import type { AuthorizedEntry } from '../../src/agent/server-api/authorized-entry.ts';
import type { ServerConnection } from '../../src/agent/server-api/server-connection.ts';
import { fetchEntries } from '../../src/agent/server-api/sync-entries.ts';
import { JwtSvids } from '../../src/agent/workloads/jwt-svids.ts';
import { decodeUnverifiedJwtSvid } from '../../src/spiffe/jwt-svid.ts';
import { joinByHand } from './joined-by-hand.ts';
import { TestDomain } from './test-domain.ts';

const resources = new AsyncDisposableStack();
let domain: TestDomain;
let connection: ServerConnection;
let entry: AuthorizedEntry;

beforeAll(async () => {
  domain = resources.use(await TestDomain.start({ settings: 'default_jwt_svid_ttl = "10m"' }));
  const id = await domain.createEntry('/web');
  connection = resources.adopt(await joinByHand(domain), (opened) => opened[Symbol.dispose]());
  const { signal } = new AbortController();
  const found = (await fetchEntries({ connection, known: new Map(), sparse: true, signal })).get(id);
  if (found === undefined) throw new Error('no entry');
  entry = found;
});
afterAll(() => resources.disposeAsync());

/** Tokens with a clock that is set. */
function jwtSvids(maxSize = 10) {
  const time = { minutes: 0 };
  const clock = () => new Date(Date.now() + time.minutes * 60_000);
  return { time, svids: new JwtSvids({ connection, maxSize, hitTimeoutSeconds: 5, clock }) };
}

test('calls at the same time share one token', async () => {
  const { svids } = jwtSvids();
  const [first, second] = await Promise.all([svids.fetch(entry, ['a', 'b']), svids.fetch(entry, ['b', 'a'])]);
  expect(second).toBe(first);
  expect(decodeUnverifiedJwtSvid(first.token)).toMatchObject({ spiffeId: entry.spiffeId, audience: ['a', 'b'] });
});

test('another state of the entry gets another token', async () => {
  const { svids } = jwtSvids();
  const before = await svids.fetch(entry, ['a']);
  expect(await svids.fetch({ ...entry, revisionNumber: entry.revisionNumber + 1 }, ['a'])).not.toBe(before);
});

test('the newest tokens are kept, and none once an authority is trusted no more', async () => {
  const { svids } = jwtSvids(2);
  const a = await svids.fetch(entry, ['a']);
  const b = await svids.fetch(entry, ['b']);
  expect(await svids.fetch(entry, ['a'])).toBe(a); // now newer than b
  await svids.fetch(entry, ['c']);
  expect(await svids.fetch(entry, ['a'])).toBe(a);
  expect(await svids.fetch(entry, ['b'])).not.toBe(b);
  svids.distrust(new Set(['another']));
  expect(await svids.fetch(entry, ['a'])).toBe(a);
  svids.distrust(new Set([a.keyId]));
  expect(await svids.fetch(entry, ['a'])).not.toBe(a);
  const [late, later] = [await svids.fetch(entry, ['late']), await svids.fetch(entry, ['late'])];
  expect([late.keyId, later === late]).toEqual([a.keyId, false]); // signed by it, handed on and not kept
});

test('a token past half of its life is renewed; while the server is away it is served until it ends', async () => {
  const { svids, time } = jwtSvids();
  const first = await svids.fetch(entry, ['a']);
  time.minutes = 4;
  expect(await svids.fetch(entry, ['a'])).toBe(first);
  time.minutes = 6;
  const second = await svids.fetch(entry, ['a']);
  expect(second).not.toBe(first);
  await domain.stopServer();
  time.minutes = 9.9; // the server's clock is not ours: its token ends in ten minutes of its own
  expect(await svids.fetch(entry, ['a'])).toBe(second);
  time.minutes = 10.1;
  await expect(svids.fetch(entry, ['a'])).rejects.toMatchObject({ code: 'SERVER_UNREACHABLE' });
  await expect(svids.fetch(entry, ['b'])).rejects.toMatchObject({ code: 'SERVER_UNREACHABLE' });
});
