import { once } from 'node:events';
import { createConnection, type Socket } from 'node:net';
import { PassThrough } from 'node:stream';
import { connect } from 'node:tls';
import { expect, test, vi } from 'vitest';
import { cutOffAfter } from '../../src/agent/broker/endpoint.ts';
import { Logger } from '../../src/log/logger.ts';
import { listenTlsUnix } from '../../src/rpc/tls-unix-server.ts';
import { TestAuthority } from '../../src/testing/test-authority.ts';
import { createTemporaryFolder } from '../harness/temporary-folder.ts';

async function listen(admit: () => boolean, onConnection = () => {}) {
  const authority = await TestAuthority.create();
  const current = await authority.issue({ spiffeId: 'spiffe://example.org/agent' });
  const folder = await createTemporaryFolder();
  const path = folder.join('s');
  const listener = await listenTlsUnix({
    path,
    mode: 0o600,
    folderMode: 0o700,
    identity: { current, subscribe: () => () => {} },
    requirePqKem: false,
    log: new Logger(() => {}),
    findBundle: () => authority.bundle(),
    admit,
    onConnection,
  });
  return { path, listener, folder };
}

function dial(path: string): Socket {
  return createConnection(path).on('error', () => {});
}

test('a connection that is not admitted is cut off before its handshake', async () => {
  let admitted = 0;
  const { path, listener, folder } = await listen(() => admitted++ < 1);
  await using _folder = folder;
  await using _listener = listener;
  const first = dial(path);
  await once(first, 'connect');
  const second = dial(path);
  second.resume();
  await once(second, 'close');
  expect(first.destroyed).toBe(false);
  first.destroy();
});

test('disposal cuts off handshakes and leaves connections', async () => {
  const accepted = Promise.withResolvers<void>();
  const { path, listener, folder } = await listen(() => true, accepted.resolve);
  await using _folder = folder;
  const connected = connect({ path, ALPNProtocols: ['h2'], rejectUnauthorized: false }).on('error', () => {});
  await accepted.promise;
  const silent = dial(path);
  await once(silent, 'connect');
  silent.resume();
  const closed = once(silent, 'close');
  await listener[Symbol.asyncDispose]();
  await closed;
  expect(connected.closed).toBe(false);
  connected.destroy();
});

test('whoever shows no certificate is cut off in the end', () => {
  vi.useFakeTimers();
  const socket = new PassThrough();
  cutOffAfter(socket, 1_000);
  vi.advanceTimersByTime(999);
  expect(socket.destroyed).toBe(false);
  vi.advanceTimersByTime(1);
  expect(socket.destroyed).toBe(true);
  vi.useRealTimers();
});
