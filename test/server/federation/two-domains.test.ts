import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BundleDefinition } from '../../../src/gen/spire/api/server/bundle/v1/bundle.ts';
import { TrustDomainDefinition } from '../../../src/gen/spire/api/server/trustdomain/v1/trustdomain.ts';
import { formatBundleDocument, parseBundleDocument } from '../../../src/spiffe/bundle-document.ts';
import { parseTrustDomain } from '../../../src/spiffe/trust-domain.ts';
import { TestAuthority } from '../../../src/testing/test-authority.ts';
import { TestServer } from '../../harness/running-server.ts';
import { createTemporaryFolder } from '../../harness/temporary-folder.ts';
import { httpAnswer, RawEndpoint } from './raw-endpoint.ts';

const run = promisify(execFile);
const resources = new AsyncDisposableStack();
const outputMask = undefined;
const WAIT = { timeout: 20_000, interval: 50 };
let a: TestServer;
let b: TestServer;

async function start(trustDomain: string, settings: string): Promise<TestServer> {
  const folder = resources.use(await createTemporaryFolder());
  return resources.use(await TestServer.start({ folder: folder.path, trustDomain, settings }));
}
beforeAll(async () => {
  const endpoint = 'bundle_endpoint { address = "127.0.0.1" port = 1 refresh_hint = "60s" profile "https_spiffe" {} }';
  a = await start('a.test', `federation { ${endpoint} }`);
  b = await start('b.test', `federation { ${endpoint} }`);
});
afterAll(() => resources.disposeAsync());

const url = (server: TestServer) => `https://127.0.0.1:${server.running.bundleEndpointPort}/`;
const federate = (server: TestServer, partner: TestServer, trustDomain: string, withBundle: boolean) =>
  server.admin(TrustDomainDefinition).batchCreateFederationRelationship({
    federationRelationships: [
      {
        trustDomain,
        bundleEndpointUrl: url(partner),
        bundleEndpointProfile: {
          $case: 'httpsSpiffe',
          value: { endpointSpiffeId: `spiffe://${trustDomain}/spire/server` },
        },
        trustDomainBundle: withBundle
          ? {
              trustDomain,
              x509Authorities: partner.running.bundle.x509Authorities.map(({ certificate }) => ({
                asn1: certificate,
                tainted: false,
              })),
              jwtAuthorities: [],
              witAuthorities: [],
              refreshHint: 0n,
              sequenceNumber: 0n,
            }
          : undefined,
      },
    ],
    outputMask,
  });
const known = (server: TestServer, trustDomain: string) =>
  server.admin(BundleDefinition).getFederatedBundle({ trustDomain, outputMask });

describe('two servers', () => {
  test('learn each other’s bundle by https_spiffe, from a first one on', async () => {
    await federate(a, b, 'b.test', true);
    await federate(b, a, 'a.test', true);
    for (const [server, partner] of [
      [a, b],
      [b, a],
    ] as const) {
      const { trustDomain, sequenceNumber, jwtAuthorities } = partner.running.bundle;
      await expect
        .poll(() => known(server, trustDomain), WAIT)
        .toMatchObject({
          refreshHint: 60n,
          sequenceNumber,
          jwtAuthorities: jwtAuthorities.map(({ keyId }) => ({ keyId })),
        });
    }
  });

  test('a refresh brings what the partner has prepared meanwhile', async () => {
    const extra = await TestAuthority.create('b.test', 'Next');
    const x509Authorities = [{ asn1: extra.certificate.der, tainted: false }];
    const after = await b
      .admin(BundleDefinition)
      .appendBundle({ x509Authorities, jwtAuthorities: [], witAuthorities: [], outputMask });
    await a.admin(TrustDomainDefinition).refreshBundle({ trustDomain: 'b.test' });
    expect(await known(a, 'b.test')).toEqual({
      ...after,
      refreshHint: 60n,
      jwtAuthorities: after.jwtAuthorities.map((key) => ({ ...key, expiresAt: 0n })),
    });
  });

  test('a relationship that leads nowhere leaves the others alone, and says why once', async () => {
    const silent = createServer().listen(0, '127.0.0.1');
    const connections: Socket[] = [];
    silent.on('connection', (socket) => connections.push(socket.on('error', () => {})));
    resources.defer(() => {
      silent.close();
      for (const socket of connections) socket.destroy();
    });
    await once(silent, 'listening');
    const { port } = silent.address() as AddressInfo;
    const relationship = (trustDomain: string, bundleEndpointUrl: string) => ({
      trustDomain,
      bundleEndpointUrl,
      bundleEndpointProfile: { $case: 'httpsWeb', value: {} } as const,
      trustDomainBundle: undefined,
    });
    await a.admin(TrustDomainDefinition).batchCreateFederationRelationship({
      federationRelationships: [
        relationship('down.test', 'https://127.0.0.1:1/'),
        relationship('slow.test', `https://127.0.0.1:${port}/`),
      ],
      outputMask,
    });
    const failures = () =>
      a.records.filter(({ level, message }) => level === 'error' && message.includes('could not be refreshed'));
    await expect.poll(() => failures().map(({ fields }) => fields.trust_domain), WAIT).toContain('down.test');
    await a.admin(TrustDomainDefinition).refreshBundle({ trustDomain: 'b.test' });
    expect(failures().map(({ fields }) => fields.trust_domain)).not.toContain('slow.test'); // it is still waited for
    await expect(a.admin(TrustDomainDefinition).refreshBundle({ trustDomain: 'down.test' })).rejects.toThrow(
      /cannot connect/,
    );
    expect(failures().filter(({ fields }) => fields.trust_domain === 'down.test')).toHaveLength(1);
  });
});

describe('the endpoint', () => {
  const curl = async (...args: readonly string[]) => {
    const { stdout } = await run('curl', ['--silent', '--insecure', '--include', '--http1.1', ...args]);
    const [head = '', ...body] = stdout.split('\r\n\r\n');
    return { head, body: body.join('\r\n\r\n') };
  };

  test('answers with the whole bundle, the hint of the configuration and the sequence number', async () => {
    const { head, body } = await curl(url(b));
    expect(head).toMatch(/^HTTP\/1\.1 200 OK/);
    expect(head).toMatch(/^Content-Type: application\/json$/m);
    const { bundle } = b.running;
    const jwtAuthorities = bundle.jwtAuthorities.map((key) => ({ ...key, expiresAt: 0 })); // no part of the document
    const served = parseBundleDocument(body, parseTrustDomain('b.test'));
    expect(formatBundleDocument(served)).toBe(
      formatBundleDocument({ ...bundle, jwtAuthorities, refreshHintSeconds: 60 }),
    );
  });

  test.each([
    ['another path', ['PATH'], 404],
    ['another method', ['--request', 'POST', '/'], 405],
    ['a body', ['--request', 'GET', '--data', 'x', '/'], 413],
  ])('refuses %s', async (_what, args, status) => {
    const path = args.at(-1) === 'PATH' ? 'other' : '';
    const { head } = await curl(...args.slice(0, -1), `${url(a)}${path}`);
    expect(head).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
  });

  test('shows the server’s X.509-SVID, which openssl verifies by the bundle, over TLS 1.2 and later', async () => {
    const folder = resources.use(await createTemporaryFolder());
    const [authority] = a.running.bundle.x509Authorities;
    await writeFile(folder.join('ca.der'), authority?.certificate ?? '');
    await run('openssl', ['x509', '-inform', 'der', '-in', folder.join('ca.der'), '-out', folder.join('ca.pem')]);
    const address = `127.0.0.1:${a.running.bundleEndpointPort}`;
    for (const version of ['-tls1_2', '-tls1_3']) {
      const running = run('openssl', ['s_client', '-connect', address, '-CAfile', folder.join('ca.pem'), version]);
      running.child.stdin?.end();
      const { stdout } = await running;
      expect(stdout).toMatch(/Verify return code: 0 \(ok\)/);
      expect(stdout).toMatch(/No client certificate CA names sent/);
    }
  });
});

test('one address does not take all of the endpoint’s connections', async () => {
  const port = b.running.bundleEndpointPort ?? 0;
  const sockets = Array.from({ length: 40 }, () => connect(port, '127.0.0.1'));
  try {
    for (const socket of sockets) socket.on('error', () => {});
    const closed = () => sockets.filter(({ destroyed, readableEnded }) => destroyed || readableEnded).length;
    for (const socket of sockets) socket.resume();
    await expect.poll(closed, WAIT).toBe(8);
  } finally {
    for (const socket of sockets) socket.destroy();
  }
});

test('a document that goes back is taken, with a warning', async () => {
  const authority = await TestAuthority.create('back.test');
  const svid = await authority.issue({ spiffeId: 'spiffe://back.test/server' });
  const other = await TestAuthority.create('back.test', 'Other');
  let answer = formatBundleDocument({ ...authority.bundle(), sequenceNumber: 9n });
  const endpoint = resources.use(await RawEndpoint.open(svid, (socket) => socket.end(httpAnswer(answer))));
  const x509Authorities = [{ asn1: authority.certificate.der, tainted: false }];
  await a.admin(TrustDomainDefinition).batchCreateFederationRelationship({
    federationRelationships: [
      {
        trustDomain: 'back.test',
        bundleEndpointUrl: `https://127.0.0.1:${endpoint.port}/`,
        bundleEndpointProfile: { $case: 'httpsSpiffe', value: { endpointSpiffeId: 'spiffe://back.test/server' } },
        trustDomainBundle: {
          trustDomain: 'back.test',
          x509Authorities,
          jwtAuthorities: [],
          witAuthorities: [],
          refreshHint: 0n,
          sequenceNumber: 1n,
        },
      },
    ],
    outputMask,
  });
  const refresh = () => a.admin(TrustDomainDefinition).refreshBundle({ trustDomain: 'back.test' });
  await refresh();
  expect((await known(a, 'back.test')).sequenceNumber).toBe(9n);
  answer = formatBundleDocument({ ...authority.bundle(other), sequenceNumber: 3n });
  await refresh();
  expect(await known(a, 'back.test')).toMatchObject({ sequenceNumber: 10n, x509Authorities: [{}, {}] });
  const warned = a.records.filter(({ message }) => message.includes('lower sequence number'));
  expect(warned).toMatchObject([{ level: 'warning', fields: { trust_domain: 'back.test' } }]);
});
