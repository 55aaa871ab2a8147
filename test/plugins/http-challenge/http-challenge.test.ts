import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import { type AddressInfo, createServer as createTcpServer, type Server, type Socket } from 'node:net';
import { afterAll, describe, expect, test } from 'vitest';
import type { AgentAttributes, SpiffeId } from '../../../src/plugin-sdk/index.ts';
import { allowedAddresses } from '../../../src/plugins/http-challenge/allowed-addresses.ts';
import { attestHost, type HttpAttestContext } from '../../../src/plugins/http-challenge/attest.ts';
import { ChallengePage } from '../../../src/plugins/http-challenge/challenge-page.ts';
import {
  challengePath,
  decodeChallenge,
  encodeAnswer,
  encodePayload,
  type HttpPayload,
} from '../../../src/plugins/http-challenge/messages.ts';
import { httpServerConfig } from '../../../src/plugins/http-challenge/server-config.ts';
import { parseTrustDomain } from '../../../src/spiffe/trust-domain.ts';

// docs/plugins/http-challenge.md

const resources = new AsyncDisposableStack();
afterAll(() => resources.disposeAsync());

const PATH = challengePath('default');
const LOOPBACK = { allowed_networks: ['127.0.0.0/8', '::1/128'] };

interface Exchange {
  readonly settings?: Readonly<Record<string, unknown>>;
  /** False only where the configuration may say so, which is for ports of root's. */
  readonly tofu?: false;
  readonly payload?: Partial<HttpPayload>;
  readonly bytes?: Uint8Array;
  readonly answer?: Uint8Array;
  readonly context?: Partial<HttpAttestContext>;
  /** Serves what the server gave, on the port that it returns; a page of the agent's half where absent. */
  readonly serve?: (nonce: () => string) => Promise<number>;
}

/** Both halves in one process. @throws what the server's half refuses with */
async function exchange({
  settings,
  tofu,
  payload,
  bytes,
  answer,
  context,
  serve,
}: Exchange = {}): Promise<AgentAttributes> {
  let nonce = '';
  await using page = await ChallengePage.open(PATH);
  const port = serve === undefined ? page.port : await serve(() => nonce);
  const config = { ...httpServerConfig.parse({ ...LOOPBACK, ...settings }), ...(tofu === undefined ? {} : { tofu }) };
  const sent = bytes ?? encodePayload({ hostname: '127.0.0.1', agentname: 'default', port, ...payload });
  const server = attestHost(
    sent,
    { config, allowed: allowedAddresses(config.allowed_networks) },
    {
      trustDomain: parseTrustDomain('example.org'),
      randomBytes: async (size) => new Uint8Array(randomBytes(size)),
      signal: new AbortController().signal,
      requireFirstUse: async () => {},
      ...context,
    },
  );
  const first = await server.next();
  if (first.done === true) throw new Error('the server asked for nothing');
  nonce = decodeChallenge(first.value);
  page.show(nonce);
  const last = await server.next(answer ?? encodeAnswer(nonce));
  if (last.done !== true) throw new Error('the server asked twice');
  return last.value;
}

async function portOf(server: Server): Promise<number> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => sockets.add(socket));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  resources.defer(async () => {
    const closed = once(server, 'close');
    server.close();
    for (const socket of sockets) socket.destroy();
    await closed;
  });
  return (server.address() as AddressInfo).port;
}

const serving = (answer: (nonce: string) => RequestListener) => async (nonce: () => string) => {
  return await portOf(createServer((request, response) => answer(nonce())(request, response)));
};

const resolvingTo = (...addresses: readonly string[]) => ({
  fetching: { resolve: async () => addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })) },
});

describe('a host is admitted', () => {
  test('that serves under its address what it was given', async () => {
    expect(await exchange()).toEqual({
      spiffeId: 'spiffe://example.org/spire/agent/http_challenge/127.0.0.1',
      selectorValues: ['hostname:127.0.0.1'],
      canReattest: false,
    });
  });

  test('by its name in DNS, at the address that was checked', async () => {
    const attributes = await exchange({
      payload: { hostname: 'node-7.example.org' },
      context: resolvingTo('127.0.0.1'),
    });
    expect(attributes.selectorValues).toEqual(['hostname:node-7.example.org']);
  });

  test('whose page ends in white space, as SPIRE’s does, and asks for the path alone', async () => {
    const urls: unknown[] = [];
    const serve = serving((nonce) => ({ url, headers }, response) => {
      urls.push([url, headers.host?.replace(/\d+$/, 'PORT')]);
      response.end(`\t${nonce}\r\n\n`);
    });
    await exchange({ serve, payload: { agentname: 'second-agent' } });
    expect(urls).toEqual([
      ['/.well-known/spiffe/nodeattestor/http_challenge/second-agent/challenge', '127.0.0.1:PORT'],
    ]);
  });

  test('that answers with a line end alone, as SPIRE’s agent does', async () => {
    await expect(exchange({ answer: Buffer.from('\n') })).resolves.toBeDefined();
  });

  test('whose name matches one of the patterns', async () => {
    await expect(exchange({ settings: { allowed_dns_patterns: ['\\.other$', '^127\\.'] } })).resolves.toBeDefined();
  });

  test('again and again where root alone listens', async () => {
    const attributes = await exchange({
      tofu: false,
      context: { requireFirstUse: () => Promise.reject(new Error('asked')) },
    });
    expect(attributes.canReattest).toBe(true);
  });

  test.each([
    ['10.1.2.3', true],
    ['192.168.0.1', true],
    ['172.16.9.9', true],
    ['203.0.113.9', true],
    ['fd00::1', true],
    ['2001:db8::1', true],
    ['127.0.0.1', false],
    ['127.255.255.254', false],
    ['0.0.0.0', false],
    ['169.254.169.254', false],
    ['224.0.0.1', false],
    ['255.255.255.255', false],
    ['::', false],
    ['::1', false],
    ['::ffff:127.0.0.1', false],
    ['::ffff:169.254.169.254', false],
    ['::ffff:10.0.0.1', true],
    ['::7f00:1', false],
    ['64:ff9b::7f00:1', false],
    ['2002:7f00:1::', false],
    ['fe80::1', false],
    ['ff02::1', false],
    ['not an address', false],
  ])('at the address %s: %s', (address, isAllowed) => {
    expect(allowedAddresses([]).isAllowed(address)).toBe(isAllowed);
  });

  test('at the networks that are given, and nowhere else', () => {
    const { isAllowed } = allowedAddresses(['127.0.0.0/8', 'fd00::/8']);
    const tried = ['127.0.0.1', '::ffff:127.0.0.1', 'fd12::1', '10.0.0.1', '::1', 'fe80::1'];
    expect(tried.map((address) => isAllowed(address))).toEqual([true, true, true, false, false, false]);
  });
});

describe('a host is refused', () => {
  const hostname = (name: string): Exchange => ({ payload: { hostname: name } });
  const text = (json: string): Exchange => ({ bytes: Buffer.from(json) });

  test.each<[string, () => Exchange, RegExp, string?]>([
    ['that is the server itself', () => hostname('localhost'), /is this server’s own/],
    ['that is the server itself by another name', () => hostname('a.localhost'), /is this server’s own/],
    ['with capital letters', () => hostname('Node.example.org'), /has capital letters/],
    ['with a dot at the end', () => hostname('node.example.org.'), /is no name of DNS/],
    ['with a path', () => hostname('node/x'), /is no name of DNS/],
    ['with a port', () => hostname('node:80'), /is no name of DNS/],
    ['with a user', () => hostname('a@node'), /is no name of DNS/],
    ['with a line end', () => hostname('node\r\nhost'), /is no name of DNS/],
    ['with an address of IPv6', () => hostname('::1'), /is no name of DNS/],
    ['with a short address', () => hostname('127.1'), /is a number/],
    ['with an address in hex', () => hostname('0x7f000001'), /is a number/],
    ['with an address as one number', () => hostname('2130706433'), /is a number/],
    ['with an address that begins with zeros', () => hostname('0127.0.0.1'), /is a number/],
    ['whose name is too long', () => hostname(`${'a.'.repeat(126)}aa`), /is no name of DNS/],
    [
      'whose name is longer than any',
      () => hostname('a'.repeat(256)),
      /256 characters in "hostname"/,
      'ARGUMENT_INVALID',
    ],
    ['without a name', () => hostname(''), /has no "hostname"/, 'ARGUMENT_INVALID'],
    [
      'whose agent has a path for a name',
      () => ({ payload: { agentname: '../x' } }),
      /the agent’s name "..\/x" is none/,
      'ARGUMENT_INVALID',
    ],
    ['without a port', () => ({ payload: { port: 0 } }), /0 is no port/, 'ARGUMENT_INVALID'],
    ['with a port that is none', () => ({ payload: { port: 65536 } }), /65536 is no port/, 'ARGUMENT_INVALID'],
    [
      'with a port in quotes',
      () => text('{"hostname":"a","agentname":"a","port":"80"}'),
      /other than a whole number/,
      'ARGUMENT_INVALID',
    ],
    ['with a payload that is no JSON', () => text('{"hostname":'), /no JSON text/, 'ARGUMENT_INVALID'],
    ['with a payload that is too large', () => text(' '.repeat(3000)), /at most 2048/, 'TOO_LARGE'],
    [
      'on another port than is required',
      () => ({ settings: { required_port: 80 } }),
      /is not the "required_port" of this server, 80/,
    ],
    ['on a port where anybody listens', () => ({ settings: { allow_non_root_ports: false } }), /anybody may listen/],
    [
      'whose name matches no pattern',
      () => ({ settings: { allowed_dns_patterns: ['^node', 'x$'] } }),
      /matches none of "allowed_dns_patterns"/,
    ],
    [
      'for whose name a pattern takes too long',
      () => ({ settings: { allowed_dns_patterns: ['^(a+)+$'] }, payload: { hostname: `${'a'.repeat(60)}.b` } }),
      /takes longer than 250 ms for this hostname/,
    ],
    [
      'at an address of this machine',
      () => ({ settings: { allowed_networks: [] } }),
      /has the address 127.0.0.1, where no challenge is fetched/,
    ],
    [
      'with one address among others that is forbidden',
      () => ({ payload: { hostname: 'two.example.org' }, context: resolvingTo('127.0.0.1', '169.254.169.254') }),
      /has the address 169.254.169.254/,
    ],
    [
      'whose name nobody has',
      () => ({
        payload: { hostname: 'nobody.example.org' },
        context: { fetching: { resolve: () => Promise.reject(new Error('getaddrinfo ENOTFOUND nobody.example.org')) } },
      }),
      /cannot be fetched: getaddrinfo ENOTFOUND/,
    ],
    [
      'whose name has no address',
      () => ({ payload: { hostname: 'empty.example.org' }, context: resolvingTo() }),
      /the address of nobody/,
    ],
    [
      'where nobody listens',
      () => ({ serve: async () => await freePort() }),
      /cannot be fetched: connect ECONNREFUSED/,
    ],
    [
      'that redirects, although what is there would be right',
      () => ({
        serve: serving((nonce) => ({ url }, response) => {
          if (url === '/other') response.end(nonce);
          else response.writeHead(302, { Location: '/other' }).end();
        }),
      }),
      /redirects \(status 302\), which is not followed/,
    ],
    [
      'that answers with an error',
      () => ({ serve: serving((nonce) => (_, response) => response.writeHead(500).end(nonce)) }),
      /status 500/,
    ],
    [
      'that answers too much',
      () => ({ serve: serving((nonce) => (_, response) => response.end(nonce + ' '.repeat(99))) }),
      /more than 64 bytes/,
    ],
    [
      'that answers too much, and does not say how much',
      () => ({
        serve: serving((nonce) => (_, response) => {
          response.write(nonce);
          response.write(' '.repeat(99));
          response.end();
        }),
      }),
      /more than 64 bytes/,
    ],
    [
      'that serves another challenge',
      () => ({ serve: serving(() => (_, response) => response.end(`${'A'.repeat(43)}=`)) }),
      /is not the challenge of this attestation/,
    ],
    [
      'that answers to another challenge',
      () => ({ answer: encodeAnswer('A'.repeat(44)) }),
      /is not the one to this challenge/,
      'ARGUMENT_INVALID',
    ],
    [
      'that answers nothing',
      () => ({ answer: new Uint8Array(0) }),
      /is not the one to this challenge/,
      'ARGUMENT_INVALID',
    ],
    ['that serves nothing', () => ({ serve: serving(() => (_, response) => response.end()) }), /is not the challenge/],
    [
      'that is too slow',
      () => ({ serve: serving(() => () => {}), context: { fetching: { deadlineMs: 200 } } }),
      /it took longer than 0.2 s/,
    ],
    [
      'that answers drop by drop',
      () => ({
        serve: serving((nonce) => (_, response) => void response.write(nonce.slice(0, 3))),
        context: { fetching: { deadlineMs: 200 } },
      }),
      /it took longer than 0.2 s/,
    ],
    [
      'whose name takes too long to resolve',
      () => ({
        payload: { hostname: 'slow.example.org' },
        context: { fetching: { deadlineMs: 100, resolve: () => new Promise(() => {}) } },
      }),
      /it took longer than 0.1 s/,
    ],
    [
      'that does not speak HTTP',
      () => ({
        serve: async () => await portOf(createTcpServer((socket) => void socket.on('error', () => {}).end('hello\n'))),
      }),
      /cannot be fetched: /,
    ],
    [
      'that has attested',
      () => ({ context: { requireFirstUse: async (id: SpiffeId) => Promise.reject(new Error(`known: ${id}`)) } }),
      /known: spiffe:\/\/example.org\/spire\/agent\/http_challenge\/127.0.0.1/,
      'any',
    ],
  ])('%s', async (_what, changes, message, code = 'ATTESTATION_DENIED') => {
    await expect(exchange(changes())).rejects.toEqual(
      expect.objectContaining({ ...(code === 'any' ? {} : { code }), message: expect.stringMatching(message) }),
    );
  });

  test('that another attested as meanwhile', async () => {
    let asked = 0;
    const requireFirstUse = async () => {
      if (++asked === 2) throw new Error('known by now');
    };
    await expect(exchange({ context: { requireFirstUse } })).rejects.toThrow('known by now');
  });

  async function freePort(): Promise<number> {
    const server = createTcpServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    server.close();
    await once(server, 'close');
    return port;
  }
});

describe('the page of the agent', () => {
  test('is there for GET, under its own path, once the challenge is known', async () => {
    await using page = await ChallengePage.open(PATH);
    const status = async (path: string, method = 'GET') =>
      (await fetch(`http://127.0.0.1:${page.port}${path}`, { method })).status;
    expect(await status(PATH)).toBe(404);
    page.show('abc');
    expect([await status(PATH), await status(PATH, 'POST'), await status(`${PATH}?x`), await status('/')]).toEqual([
      200, 405, 404, 404,
    ]);
  });

  test('says who else has the port', async () => {
    await using page = await ChallengePage.open(PATH);
    await expect(ChallengePage.open(PATH, page.port)).rejects.toThrow(
      /cannot be listened on: .*EADDRINUSE.*set "port"/,
    );
  });

  test('never shows what is no nonce', () => {
    expect(() => decodeChallenge(Buffer.from('{"nonce":"<script>"}'))).toThrow(/is no base64/);
  });
});
