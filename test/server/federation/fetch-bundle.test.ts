import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { webContextOf } from '../../../src/http/web-roots.ts';
import { fetchBundle } from '../../../src/server/federation/fetch-bundle.ts';
import type { EndpointProfile } from '../../../src/server/federation/relationship.ts';
import { formatBundleDocument } from '../../../src/spiffe/bundle-document.ts';
import { parseSpiffeId } from '../../../src/spiffe/spiffe-id.ts';
import { parseTrustDomain } from '../../../src/spiffe/trust-domain.ts';
import { TestAuthority, type TestCredential } from '../../../src/testing/test-authority.ts';
import { encodePem } from '../../../src/x509/pem.ts';
import { httpAnswer, RawEndpoint } from './raw-endpoint.ts';

const PARTNER = parseTrustDomain('partner.test');
const ENDPOINT_ID = parseSpiffeId('spiffe://partner.test/spire/server');
const HTTPS_SPIFFE: EndpointProfile = { type: 'https_spiffe', endpointSpiffeId: ENDPOINT_ID };
const HTTPS_WEB: EndpointProfile = { type: 'https_web' };
const HOUR_MS = 3_600_000;
const MIB = 1024 * 1024;

let authority: TestAuthority;
let stranger: TestAuthority;
let svid: TestCredential;
let web: TestCredential;
let good: Buffer;
let resources = new AsyncDisposableStack();
beforeAll(async () => {
  authority = await TestAuthority.create(PARTNER);
  stranger = await TestAuthority.create(PARTNER, 'Stranger');
  svid = await authority.issue({ spiffeId: ENDPOINT_ID });
  web = await authority.issueLeaf({ dnsNames: ['localhost'] });
  good = httpAnswer(formatBundleDocument({ ...authority.bundle(), refreshHintSeconds: 60, sequenceNumber: 7n }));
});
afterEach(async () => {
  await resources.disposeAsync();
  resources = new AsyncDisposableStack();
});

async function open(shown: TestCredential, answer: (socket: TLSSocket) => void): Promise<RawEndpoint> {
  return resources.use(await RawEndpoint.open(shown, answer));
}

const fetchFrom = (
  bundleEndpointUrl: string,
  profile: EndpointProfile,
  { deadlineMs = 20_000 }: { deadlineMs?: number } = {},
) =>
  fetchBundle(
    { trustDomain: PARTNER, bundleEndpointUrl, profile },
    {
      findBundle: (trustDomain) => (trustDomain === PARTNER ? authority.bundle() : undefined),
      webRoots: () => webContextOf([encodePem('CERTIFICATE', authority.certificate.der)]),
      requirePqKem: false,
      deadlineMs,
      signal: new AbortController().signal,
    },
  );
const urlOf = ({ port }: RawEndpoint, host = 'localhost') => `https://${host}:${port}/`;

describe.each([
  ['https_web', HTTPS_WEB, () => web],
  ['https_spiffe', HTTPS_SPIFFE, () => svid],
] as const)('%s', (_name, profile, shown) => {
  test('gives the bundle, for one connection', async () => {
    const endpoint = await open(shown(), (socket) => socket.end(good));
    expect(await fetchFrom(urlOf(endpoint), profile)).toMatchObject({
      trustDomain: PARTNER,
      x509Authorities: [{ certificate: authority.certificate.der }],
      refreshHintSeconds: 60,
      sequenceNumber: 7n,
    });
    expect(endpoint.connections).toBe(1);
  });

  const answers: readonly (readonly [string, (socket: TLSSocket) => void, RegExp])[] = [
    [
      'a redirect, which is not followed',
      (socket) => socket.end(httpAnswer('', '302 Found', ['Location: http://169.254.169.254/latest'])),
      /redirects \(status 302\) to "http:\/\/169\.254\.169\.254\/latest", which is not followed: set bundle_endpoint_url/,
    ],
    ['an error', (socket) => socket.end(httpAnswer('no', '503 Later')), /answered with status 503, not with a bundle/],
    ['no JSON', (socket) => socket.end(httpAnswer('<html>')), /bundle document is no JSON/],
    ['JSON without keys', (socket) => socket.end(httpAnswer('{}')), /"keys" is missing or no list/],
    ['no UTF-8', (socket) => socket.end(httpAnswer(Buffer.of(0x22, 0xff, 0x22))), /no UTF-8/],
    [
      'a key that is no certificate',
      (socket) => socket.end(httpAnswer('{"keys":[{"kty":"EC","use":"x509-svid","x5c":["AAAA"]}]}')),
      /keys\[0\]\.x5c\[0\] cannot be read/,
    ],
    [
      'a private key',
      (socket) => socket.end(httpAnswer('{"keys":[{"kty":"EC","use":"jwt-svid","kid":"a","d":"AAAA"}]}')),
      /keys\[0\] has "d", a part of a private key/,
    ],
    [
      'a body that says it is huge',
      (socket) => socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${10 * MIB}\r\n\r\n`),
      /more than 4194304 bytes/,
    ],
    [
      'a body without an end',
      (socket) => {
        socket.write('HTTP/1.1 200 OK\r\n\r\n');
        const more = () => {
          while (!socket.destroyed && socket.write(Buffer.alloc(65_536, ' '))) {}
        };
        socket.on('drain', more);
        more();
      },
      /more than 4194304 bytes/,
    ],
    [
      'headers without an end',
      (socket) => socket.write(`HTTP/1.1 200 OK\r\n${'X: y\r\n'.repeat(10_000)}`),
      /did not answer: .*header/i,
    ],
    ['half a body', (socket) => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{'), /did not answer/],
    ['nothing', (socket) => socket.destroy(), /did not answer/],
    ['no HTTP', (socket) => socket.end('SSH-2.0-x\r\n\r\n'), /did not answer/],
  ];
  test.each(answers)('refuses %s', async (_what, answer, message) => {
    const endpoint = await open(shown(), answer);
    await expect(fetchFrom(urlOf(endpoint), profile)).rejects.toMatchObject({
      name: 'SpiffeError',
      message: expect.stringMatching(message),
    });
  });

  const slow: readonly (readonly [string, (socket: TLSSocket) => void])[] = [
    ['an answer that does not come', () => {}],
    [
      'a body that comes a byte at a time',
      (socket) => {
        socket.write('HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n');
        const timer = setInterval(() => socket.write(' '), 50);
        socket.once('close', () => clearInterval(timer));
      },
    ],
  ];
  test.each(slow)('gives up %s', async (_what, answer) => {
    const endpoint = await open(shown(), answer);
    await expect(fetchFrom(urlOf(endpoint), profile, { deadlineMs: 700 })).rejects.toMatchObject({
      code: 'SERVER_UNREACHABLE',
      message: expect.stringMatching(/did not answer: it took too long/),
    });
  });

  test('gives up a handshake that does not end', async () => {
    const silent = createServer(() => {}).listen(0, '127.0.0.1');
    resources.defer(() => void silent.close());
    await once(silent, 'listening');
    const { port } = silent.address() as AddressInfo;
    await expect(fetchFrom(`https://127.0.0.1:${port}`, profile, { deadlineMs: 500 })).rejects.toMatchObject({
      message: expect.stringMatching(/the TLS handshake took too long/),
    });
  });

  test('says where nobody listens', async () => {
    const endpoint = await open(shown(), () => {});
    const url = urlOf(endpoint, '127.0.0.1');
    await endpoint[Symbol.asyncDispose]();
    await expect(fetchFrom(url, profile)).rejects.toMatchObject({
      code: 'SERVER_UNREACHABLE',
      message: expect.stringMatching(/cannot connect to 127\.0\.0\.1 port \d+: .*ECONNREFUSED/),
    });
  });

  test.each([
    ['http://localhost:8443/', /must use the https scheme/],
    ['file:///etc/passwd', /must use the https scheme/],
    ['https://user:secret@localhost/', /must not contain user info/],
    ['localhost:8443', /must use the https scheme/],
    ['', /is no URL/],
  ])('refuses the URL "%s"', async (url, message) => {
    await expect(fetchFrom(url, profile)).rejects.toMatchObject({
      code: 'ARGUMENT_INVALID',
      message: expect.stringMatching(message),
    });
  });
});

describe('an endpoint that is not who it should be', () => {
  const past = new Date(Date.now() - HOUR_MS / 2);
  const rows: readonly (readonly [string, EndpointProfile, () => Promise<TestCredential>, RegExp])[] = [
    [
      'another SPIFFE ID',
      HTTPS_SPIFFE,
      () => authority.issue({ spiffeId: 'spiffe://partner.test/other' }),
      /not authenticated: the server says it is spiffe:\/\/partner\.test\/other, expected spiffe:\/\/partner\.test\/spire\/server/,
    ],
    [
      'the keys of another authority',
      HTTPS_SPIFFE,
      () => stranger.issue({ spiffeId: ENDPOINT_ID }),
      /not authenticated: no issuer of the certificate/,
    ],
    [
      'an SVID that has expired',
      HTTPS_SPIFFE,
      () => authority.issue({ spiffeId: ENDPOINT_ID, notAfter: past }),
      /not authenticated: .*expired/,
    ],
    ['a certificate without SPIFFE ID', HTTPS_SPIFFE, async () => web, /URI|SPIFFE ID/],
    [
      'a web certificate that has expired',
      HTTPS_WEB,
      () => authority.issueLeaf({ dnsNames: ['localhost'], notAfter: past }),
      /not authenticated: its certificate has expired/,
    ],
    [
      'a web certificate of an authority that nobody knows',
      HTTPS_WEB,
      () => stranger.issueLeaf({ dnsNames: ['localhost'] }),
      /not authenticated: its certificate .* NODE_EXTRA_CA_CERTS/,
    ],
    [
      'a web certificate for another name',
      HTTPS_WEB,
      () => authority.issueLeaf({ dnsNames: ['elsewhere.test'] }),
      /not authenticated: its certificate is not for "localhost"$/,
    ],
    [
      'an X.509-SVID where a web certificate is expected',
      HTTPS_WEB,
      async () => svid,
      /not for "localhost", but has SPIFFE ID "spiffe:\/\/partner\.test\/spire\/server": maybe use https_spiffe/,
    ],
  ];
  test.each(rows)('%s', async (_what, profile, shown, message) => {
    let wasAsked = false;
    const endpoint = await open(await shown(), (socket) => {
      wasAsked = true;
      socket.end(good);
    });
    await expect(fetchFrom(urlOf(endpoint), profile)).rejects.toMatchObject({
      name: 'SpiffeError',
      message: expect.stringMatching(message),
    });
    expect(wasAsked).toBe(false);
  });

  test('cannot be told without the bundle of its trust domain', async () => {
    const endpoint = await open(svid, (socket) => socket.end(good));
    const found = fetchBundle(
      { trustDomain: PARTNER, bundleEndpointUrl: urlOf(endpoint), profile: HTTPS_SPIFFE },
      {
        findBundle: () => undefined,
        webRoots: () => webContextOf([]),
        requirePqKem: false,
        deadlineMs: 5_000,
        signal: new AbortController().signal,
      },
    );
    await expect(found).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: expect.stringMatching(
        /there is no bundle of "partner\.test" yet, set it with "assayer server bundle set"/,
      ),
    });
    expect(endpoint.connections).toBe(0);
  });
});
