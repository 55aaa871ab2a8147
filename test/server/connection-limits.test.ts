import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import { expect, test } from 'vitest';
import type { TlsPeer } from '../../src/rpc/peer.ts';
import { ConnectionLimits } from '../../src/server/connection-limits.ts';
import { parseSpiffeId } from '../../src/spiffe/spiffe-id.ts';

const stranger = (address: string): TlsPeer => ({ kind: 'tls', address, port: 1, certificates: [] });
const member = (name: string): TlsPeer => ({
  ...stranger('10.0.0.1'),
  spiffeId: parseSpiffeId(`spiffe://example.org/spire/agent/a/${name}`),
});

function connect(limits: ConnectionLimits, peer: TlsPeer) {
  const socket = new PassThrough();
  return { socket, isAdmitted: limits.admit(socket, peer) };
}

test('one address has so many anonymous connections, and room again when one closes', async () => {
  const limits = new ConnectionLimits({ maxPerAddress: 2 });
  const first = connect(limits, stranger('10.0.0.1'));
  expect(connect(limits, stranger('10.0.0.1')).isAdmitted).toBe(true);
  const third = connect(limits, stranger('10.0.0.1'));
  expect([third.isAdmitted, third.socket.destroyed]).toEqual([false, true]);
  expect(connect(limits, stranger('10.0.0.2')).isAdmitted).toBe(true);
  first.socket.destroy();
  await once(first.socket, 'close');
  expect(connect(limits, stranger('10.0.0.1')).isAdmitted).toBe(true);
});

test('strangers fill the room that is for strangers, not that of members', () => {
  const limits = new ConnectionLimits({ maxAnonymous: 2, maxPerMember: 2 });
  const admitted = ['10.0.0.1', '10.0.0.2', '10.0.0.3'].map((address) => connect(limits, stranger(address)).isAdmitted);
  expect(admitted).toEqual([true, true, false]);
  expect([1, 2, 3].map(() => connect(limits, member('one')).isAdmitted)).toEqual([true, true, false]);
  expect(connect(limits, member('two')).isAdmitted).toBe(true);
});

test('an anonymous connection ends by itself, one of a member does not', async () => {
  const limits = new ConnectionLimits({ anonymousLifeMs: 1 });
  const lasting = connect(limits, member('one'));
  const brief = connect(limits, stranger('10.0.0.1'));
  await once(brief.socket, 'close');
  expect(lasting.socket.destroyed).toBe(false);
});
