import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as connectTls, createServer as createTlsServer } from 'node:tls';
import { expect, test } from 'vitest';
import { peekAlpnProtocols } from '../../../src/acme/client-hello.ts';
import { TestAuthority } from '../../../src/testing/test-authority.ts';

/** What is seen of a connection that `client` begins; and whatever then does with it. */
async function peek(client: (port: number) => void, then: (socket: Socket) => void = (socket) => socket.destroy()) {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  client((server.address() as AddressInfo).port);
  const [socket]: Socket[] = await once(server, 'connection');
  if (socket === undefined) throw new Error('no connection');
  const protocols = await peekAlpnProtocols(socket, 2_000);
  then(socket);
  server.close();
  return protocols;
}

/** Sends these pieces one after the other, and ends. */
const sender = (pieces: readonly (string | Uint8Array)[]) => async (port: number) => {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => {});
  for (const piece of pieces) {
    socket.write(piece);
    await sleep(20);
  }
  socket.end();
};

const authority = await TestAuthority.create();
const leaf = await authority.issueLeaf({ dnsNames: ['localhost'] });

async function clientHello(protocols: readonly string[]): Promise<Buffer> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const tls = connectTls({ port, host: '127.0.0.1', ALPNProtocols: [...protocols], rejectUnauthorized: false });
  tls.on('error', () => {});
  const [socket]: Socket[] = await once(server, 'connection');
  const [hello]: Buffer[] = await once(socket ?? server, 'data');
  tls.destroy();
  server.close();
  return hello ?? Buffer.alloc(0);
}

test.each([[['acme-tls/1']], [['h2', 'http/1.1']], [[]]])(
  'tells that %j are offered, and TLS goes on',
  async (protocols) => {
    const tls = createTlsServer({ cert: leaf.certificatePem, key: leaf.privateKeyPem, ALPNProtocols: [...protocols] });
    const secured = once(tls, 'secureConnection');
    const options = { host: '127.0.0.1', ALPNProtocols: [...protocols], rejectUnauthorized: false };
    const seen = await peek(
      (port) => connectTls({ ...options, port }).on('error', () => {}),
      (socket) => tls.emit('connection', socket),
    );
    expect(seen).toEqual(protocols);
    const [connection] = await secured;
    connection.destroy();
  },
);

test('waits for a message that comes in pieces', async () => {
  const hello = await clientHello(['acme-tls/1']);
  const pieces = [hello.subarray(0, 3), hello.subarray(3, 50), hello.subarray(50)];
  expect(await peek(sender(pieces))).toEqual(['acme-tls/1']);
});

test('takes nothing else for one, and reads no further than it has to', async () => {
  const hello = await clientHello(['acme-tls/1']);
  const cut = Buffer.concat([Buffer.of(22, 3, 1, 0, 40), hello.subarray(5, 45)]);
  const liar = Buffer.from(hello);
  liar.writeUInt16BE(0xffff, 43); // the session's length and what follows
  for (const bytes of ['GET / HTTP/1.1\r\n\r\n', cut, liar, Buffer.alloc(70_000, 22), Buffer.alloc(0)]) {
    expect(await peek(sender([bytes]))).toEqual([]);
  }
});
