import { expect, test } from 'vitest';
import { SyncStatus } from '../../../src/agent/sync/sync-status.ts';
import { findHindrance } from '../../../src/agent/workloads/svid-hindrance.ts';
import { SpiffeError } from '../../../src/spiffe/error.ts';
import { entryAtAgent } from '../entry-at-agent.ts';

const entries = [entryAtAgent('1', '/web'), entryAtAgent('2', '/db')];
const AWAY = new SpiffeError('SERVER_UNREACHABLE', 'nobody answers');

/** What is said to workloads with these entries after `steps`, each a minute after the one before; 12:00 is the first. */
function saidAfter(steps: readonly ((status: SyncStatus) => void)[], waiting = entries): string | undefined {
  let minute = 0;
  const status = new SyncStatus(() => new Date(Date.UTC(2026, 10, 28, 12, minute)));
  for (const step of steps) {
    step(status);
    minute += 1;
  }
  return findHindrance(waiting, { status, address: '192.0.2.1', port: 8081 })?.message;
}

const fails = (status: SyncStatus) => {
  status.failed(AWAY);
  status.stands();
};
const refuses =
  (...ids: readonly string[]) =>
  (status: SyncStatus) => {
    status.signs(entries);
    for (const id of ids) status.refused(id, 'the CA says no');
    status.signed();
    status.succeeded();
  };

test.each([
  ['before anything is known', []],
  ['after a failure, until the agent has done what follows from it', [(status: SyncStatus) => status.failed(AWAY)]],
  ['after a sync that went well', [fails, (status: SyncStatus) => status.succeeded()]],
  ['that are not all refused', [refuses('1')]],
  ['that the server is asked to sign for again', [refuses('1', '2'), (status: SyncStatus) => status.signs(entries)]],
] as const)('nothing hinders entries %s', (_when, steps) => {
  expect(saidAfter(steps)).toBeUndefined();
});

test.each([
  [
    'a server that fails, since when',
    [fails, fails],
    'no X.509-SVID of spiffe://example.org/web is there that is valid, and since 2026-11-28T12:00:00Z none can be had from the server at 192.0.2.1 port 8081: nobody answers',
  ],
  [
    'a server that signs for none of them',
    [refuses('1', '2')],
    'no X.509-SVID of spiffe://example.org/web is there that is valid, and at 2026-11-28T12:00:00Z none could be had from the server at 192.0.2.1 port 8081: the CA says no',
  ],
] as const)('entries are hindered by %s', (_what, steps, message) => {
  expect(saidAfter(steps)).toBe(message);
});

test('an agent that knows no entries yet says so', () => {
  const status = new SyncStatus(() => new Date(Date.UTC(2026, 10, 28, 12)));
  fails(status);
  const hindrance = findHindrance(undefined, { status, address: '192.0.2.1', port: 8081 });
  expect(hindrance).toMatchObject({
    code: 'UNAVAILABLE',
    message:
      'this agent does not know its entries yet, and since 2026-11-28T12:00:00Z cannot have them from the server at 192.0.2.1 port 8081: nobody answers',
  });
});
