import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import { expect, test } from 'vitest';
import { WorkloadConnections } from '../../src/agent/workload-api/connection-limits.ts';

function connect(connections: WorkloadConnections, pid: number, uid: number) {
  const socket = new PassThrough();
  return { socket, isAdmitted: connections.admit(socket, { pid, uid }) };
}

test('a process has so many connections, and room again when one closes', async () => {
  const connections = new WorkloadConnections({ maxPerProcess: 2 });
  const first = connect(connections, 1, 1000);
  expect(connect(connections, 1, 1000).isAdmitted).toBe(true);
  const third = connect(connections, 1, 1000);
  expect([third.isAdmitted, third.socket.destroyed]).toEqual([false, true]);
  expect(connect(connections, 2, 1000).isAdmitted).toBe(true);
  first.socket.destroy();
  await once(first.socket, 'close');
  expect(connect(connections, 1, 1000).isAdmitted).toBe(true);
});

test('a user who starts many processes leaves room for others', () => {
  const connections = new WorkloadConnections({ maxPerUser: 3 });
  expect([1, 2, 3, 4].map((pid) => connect(connections, pid, 1000).isAdmitted)).toEqual([true, true, true, false]);
  expect(connect(connections, 5, 1001).isAdmitted).toBe(true);
});
