import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { connect as connectTcp, createServer, type Server, type Socket } from 'node:net';
import { connect, type TLSSocket } from 'node:tls';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { readProxyHeader } from '../../src/rpc/read-proxy-header.ts';
import { TestAuthority, type TestSvid } from '../../src/testing/test-authority.ts';
import { serveTls } from '../harness/tls-service.ts';

const run = promisify(execFile);
const PROXY = '127.0.0.5';
const V1 = Buffer.from('PROXY TCP4 192.0.2.7 192.0.2.1 40000 8081\r\n');
const V2 = Buffer.from('0d0a0d0a000d0a515549540a 2111 000c c0000207 c0000201 9c40 1f91'.replaceAll(' ', ''), 'hex');
const V2_IPV6 = Buffer.from(
  '0d0a0d0a000d0a515549540a21210028 20010db8000000000000000000000007 20010db8000000000000000000000001 9c401f91 04000100'.replaceAll(
    ' ',
    '',
  ),
  'hex',
);
const V2_LOCAL = Buffer.from('0d0a0d0a000d0a515549540a2000 0003 010203'.replaceAll(' ', ''), 'hex');

let svid: TestSvid;
beforeAll(async () => {
  const authority = await TestAuthority.create();
  svid = await authority.issue({ spiffeId: 'spiffe://example.org/spire/server' });
});
const serve = (trustedProxies: readonly string[] = [`${PROXY}/32`], more = {}) =>
  serveTls(svid, () => [], { trustedProxies, ...more });

/** Connects from an address of its own choice. */
async function dial(port: number, from = PROXY): Promise<Socket> {
  const socket = connectTcp({ port, host: '127.0.0.1', localAddress: from });
  onTestFinished(() => void socket.destroy());
  socket.on('error', () => {});
  await once(socket, 'connect');
  socket.setNoDelay();
  return socket;
}

function secure(socket: Socket): TLSSocket {
  const secured = connect({ socket, rejectUnauthorized: false, ALPNProtocols: ['h2'] });
  secured.on('error', () => {});
  return secured;
}

/** Sends a header, then shakes hands. */
async function open(port: number, header: Uint8Array, from?: string): Promise<void> {
  const socket = await dial(port, from);
  if (header.length > 0) socket.write(header);
  await once(secure(socket), 'secureConnect');
}

const headers = [
  ['version 1', V1, '192.0.2.7'],
  ['version 2', V2, '192.0.2.7'],
  ['version 2 with IPv6 and a TLV', V2_IPV6, '2001:db8::7'],
  ['UNKNOWN', Buffer.from('PROXY UNKNOWN\r\n'), PROXY],
  ['LOCAL', V2_LOCAL, PROXY],
  ['no header', Buffer.alloc(0), PROXY],
] as const;

describe('a trusted proxy', () => {
  test.each(headers)('with %s', async (_what, header, address) => {
    const { listener, peers } = await serve();
    await open(listener.port, header);
    await expect.poll(() => peers.map((peer) => peer.address)).toEqual([address]);
    if (address !== PROXY) expect(peers[0]?.port).toBe(40_000);
  });

  test.each(headers)('with %s, a byte at a time', async (_what, header, address) => {
    const { listener, peers } = await serve();
    const socket = await dial(listener.port);
    for (const byte of header) {
      socket.write(Buffer.of(byte));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await once(secure(socket), 'secureConnect');
    await expect.poll(() => peers.map((peer) => peer.address)).toEqual([address]);
  });

  test('in the same segment as the first bytes of TLS', async () => {
    const { listener, peers } = await serve();
    const relay = await relayTo(listener.port, V1);
    const socket = connect({ port: relay, host: '127.0.0.1', rejectUnauthorized: false, ALPNProtocols: ['h2'] });
    onTestFinished(() => void socket.destroy());
    await once(socket, 'secureConnect');
    await expect.poll(() => peers.map((peer) => peer.address)).toEqual(['192.0.2.7']);
  });

  test.each([
    ['garbage', Buffer.from('POST / HTTP/1.1\r\n\r\n')],
    ['a wrong address', Buffer.from('PROXY TCP4 192.0.2.777 192.0.2.1 1 2\r\n')],
    ['a wrong signature', Buffer.from('\r\n\r\n\r\n')],
    ['two headers', Buffer.concat([V1, V1])],
  ])('with %s is cut off', async (_what, bytes) => {
    const { listener, peers, records } = await serve();
    const socket = await dial(listener.port);
    const closed = once(socket, 'close');
    socket.resume();
    socket.write(bytes);
    await closed;
    await expect.poll(() => records.length).toBe(1);
    expect(peers).toEqual([]);
    await open(listener.port, V1); // nobody else minds
  });

  test('that only looks whether somebody listens is no event', async () => {
    const { listener, records, peers } = await serve();
    for (const start of ['', 'PROX']) {
      const socket = await dial(listener.port);
      const closed = once(socket, 'close');
      socket.resume();
      socket.end(start);
      await closed;
    }
    await open(listener.port, V1);
    await expect.poll(() => peers.length).toBe(1);
    expect(records).toEqual([]);
  });

  test('is cut off with the listener where it has not said a word', async () => {
    const { listener } = await serve();
    const socket = await dial(listener.port);
    socket.resume();
    const closed = once(socket, 'close');
    await listener[Symbol.asyncDispose]();
    await closed;
  });
});

test('whoever resets his connection before it is accepted is no event', async () => {
  const { listener, peers, records } = await serve();
  for (let round = 0; round < 20; round += 1) {
    const socket = connectTcp({ port: listener.port, host: '127.0.0.1', localAddress: PROXY });
    socket.on('error', () => {});
    socket.once('connect', () => {
      socket.write(V2_LOCAL);
      socket.resetAndDestroy();
    });
  }
  await open(listener.port, V1);
  await expect.poll(() => peers.map(({ address }) => address)).toEqual(['192.0.2.7']);
  expect(records.filter(({ level }) => level !== 'debug')).toEqual([]);
});

test('whoever is not trusted speaks for himself: with a header his handshake fails', async () => {
  const { listener, peers, records } = await serve();
  for (const header of [V1, V2]) {
    const socket = await dial(listener.port, '127.0.0.6');
    const closed = once(socket, 'close');
    socket.resume();
    socket.write(header);
    await closed;
  }
  await expect.poll(() => records.map(({ message }) => message)).toEqual(Array(2).fill('a TLS handshake failed'));
  expect(records.map(({ fields }) => fields.address)).toEqual(['127.0.0.6', '127.0.0.6']);
  await open(listener.port, Buffer.alloc(0), '127.0.0.6');
  await expect.poll(() => peers.map(({ address }) => address)).toEqual(['127.0.0.6']);
});

test('a slow header has a deadline, however steadily its bytes come', async () => {
  const outcome = Promise.withResolvers<unknown>();
  const server = createServer((socket) => {
    readProxyHeader(socket, 200).then(outcome.resolve, outcome.resolve);
  });
  const port = await portOf(server);
  const socket = await dial(port);
  const drip = setInterval(() => socket.write('x'), 20);
  onTestFinished(() => clearInterval(drip));
  socket.write('PROXY UNKNOWN ');
  expect(await outcome.promise).toMatchObject({
    code: 'DEADLINE_EXCEEDED',
    message: 'no PROXY protocol header came within 0.2 s',
  });
});

test('curl is understood', async () => {
  const { listener, peers } = await serve();
  const relay = await relayTo(listener.port);
  // gRPC is nothing that curl speaks: what counts is that it got through TLS.
  await run('curl', ['--haproxy-protocol', '--http2', '-sk', `https://127.0.0.1:${relay}/`, '-m', '10']).catch(
    () => {},
  );
  await expect.poll(() => peers.map(({ address }) => address)).toEqual(['127.0.0.1']); // not the relay's
});

describe('handshakes that one address has under way', () => {
  test('are so many at a time, and those of another address go on', async () => {
    const { listener, peers } = await serve([], { maxHandshakesPerAddress: 2 });
    const first = await dial(listener.port, '127.0.0.6');
    await dial(listener.port, '127.0.0.6');
    const third = await dial(listener.port, '127.0.0.6');
    third.resume();
    await once(third, 'close');
    await open(listener.port, Buffer.alloc(0), '127.0.0.7');
    first.destroy();
    await expect
      .poll(() =>
        open(listener.port, Buffer.alloc(0), '127.0.0.6').then(
          () => true,
          () => false,
        ),
      )
      .toBe(true);
    await expect.poll(() => peers.map(({ address }) => address)).toEqual(['127.0.0.7', '127.0.0.6']);
  });

  test('are counted by the client, not by its proxy', async () => {
    const { listener, peers } = await serve(undefined, { maxHandshakesPerAddress: 1 });
    const silent = await dial(listener.port);
    silent.write(V1);
    await open(listener.port, V2_IPV6);
    await expect.poll(() => peers.map(({ address }) => address)).toEqual(['2001:db8::7']);
  });

  test('are forgotten when they end, done or failed', async () => {
    const { listener } = await serve([], { maxHandshakesPerAddress: 1 });
    for (let round = 0; round < 5; round += 1) {
      const failing = await dial(listener.port);
      failing.resume();
      const closed = once(failing, 'close');
      failing.write('no TLS at all\r\n');
      await closed;
      await open(listener.port, Buffer.alloc(0));
    }
  });
});

/** A proxy at {@link PROXY}: what comes first goes out in one piece behind `header`. @returns its port */
async function relayTo(port: number, header: Uint8Array = Buffer.alloc(0)): Promise<number> {
  const server = createServer((incoming) => {
    const outgoing = connectTcp({ port, host: '127.0.0.1', localAddress: PROXY });
    outgoing.on('error', () => {});
    incoming.on('error', () => {});
    onTestFinished(() => {
      outgoing.destroy();
      incoming.destroy();
    });
    incoming.once('data', (first) => {
      outgoing.write(Buffer.concat([header, first]));
      incoming.pipe(outgoing).pipe(incoming);
    });
  });
  return await portOf(server);
}

async function portOf(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  const bound = server.address();
  return typeof bound === 'object' ? (bound?.port ?? 0) : 0;
}
