import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { fetchFromUrl } from '../../src/agent/bundle-sources/fetch-from-url.ts';
import { readBundle } from '../../src/agent/bundle-sources/read-bundle.ts';
import { formatBundleDocument } from '../../src/spiffe/bundle-document.ts';
import { parseTrustDomain } from '../../src/spiffe/trust-domain.ts';
import { TestAuthority } from '../../src/testing/test-authority.ts';
import { httpAnswer, RawEndpoint } from '../server/federation/raw-endpoint.ts';
import { TestDomain } from './test-domain.ts';
import { fetchIds } from './workload.ts';

// Where an agent has its first trust bundle from (inventory B009, C098 to C102).

vi.setConfig({ testTimeout: 90_000, hookTimeout: 90_000 });

const { signal } = new AbortController();
const EXAMPLE = parseTrustDomain('example.org');
const resources = new AsyncDisposableStack();
let web: TestAuthority;
let domain: TestDomain;
let pem: string;

beforeAll(async () => {
  web = await TestAuthority.create();
  domain = resources.use(await TestDomain.start());
  pem = await readFile(domain.bundlePath, 'utf8');
  await domain.createEntry('/web');
});
afterAll(() => resources.disposeAsync());

const openWeb = async (answer: Buffer, names: readonly string[] = ['localhost']) =>
  await RawEndpoint.open(await web.issueLeaf({ dnsNames: names }), (socket) => socket.end(answer));
const fetchWeb = ({ port }: RawEndpoint, roots: readonly string[] = [web.certificatePem]) =>
  fetchFromUrl({ type: 'url', url: `https://localhost:${port}/bundle`, format: 'pem' }, signal, roots);

describe('trust_bundle_url', () => {
  test('is fetched from a web server that the roots vouch for', async () => {
    await using endpoint = await openWeb(httpAnswer(pem));
    expect(await fetchWeb(endpoint)).toBe(pem);
  });

  test.each([
    ['an authority that is unknown', ['localhost'], []],
    ['another name', ['elsewhere.test'], undefined],
  ])('a server with %s is not believed', async (_what, names, roots) => {
    await using endpoint = await openWeb(httpAnswer(pem), names);
    await expect(fetchWeb(endpoint, roots)).rejects.toMatchObject({
      code: 'CERTIFICATE_UNTRUSTED',
      message: expect.stringMatching(/^the trust bundle's server "https:\/\/localhost.*NODE_EXTRA_CA_CERTS/),
    });
  });

  test.each([301, 302, 307, 308])('a redirect (status %i) is not followed', async (status) => {
    await using endpoint = await openWeb(
      httpAnswer('', `${status} Elsewhere`, ['Location: http://169.254.169.254/latest/']),
    );
    await expect(fetchWeb(endpoint)).rejects.toMatchObject({
      code: 'BUNDLE_INVALID',
      message: expect.stringMatching(/redirects .* is not followed: set trust_bundle_url to where the bundle is/),
    });
    expect(endpoint.connections).toBe(1);
  });

  test.each([
    ['another status', httpAnswer('no', '404 Not Found'), 'BUNDLE_INVALID', /answered with status 404/],
    ['too much', httpAnswer(Buffer.alloc(4 * 1024 * 1024 + 1, 0x20)), 'TOO_LARGE', /more than 4194304 bytes/],
    [
      'too many headers',
      httpAnswer('', '200 OK', [`X: ${'x'.repeat(20_000)}`]),
      'SERVER_UNREACHABLE',
      /Header overflow/,
    ],
    ['what is no UTF-8', httpAnswer(Buffer.of(0xff, 0xfe)), 'BUNDLE_INVALID', /no UTF-8/],
    [
      'half of it',
      Buffer.from('HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nhalf'),
      'SERVER_UNREACHABLE',
      /aborted|early/,
    ],
  ])('an answer with %s is refused', async (_what, answer, code, message) => {
    await using endpoint = await openWeb(answer);
    await expect(fetchWeb(endpoint)).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
  });
});

test('user, password and query of a URL are sent, and not told', async () => {
  const requests: string[] = [];
  await using endpoint = await RawEndpoint.open(await web.issueLeaf({ dnsNames: ['localhost'] }), (socket, request) => {
    requests.push(request.toString());
    socket.end(httpAnswer('', '302 Elsewhere', ['Location: https://u:hidden@localhost/x?signature=hidden']));
  });
  const url = `https://user:hidden%21@localhost:${endpoint.port}/bundle?token=hidden`;
  const source = { type: 'url', url, format: 'pem' } as const;
  const error: unknown = await fetchFromUrl(source, signal, [web.certificatePem]).catch((reason: unknown) => reason);
  const credentials = Buffer.from('user:hidden!').toString('base64');
  expect(requests.join()).toMatch(/^GET \/bundle\?token=hidden HTTP/);
  expect(requests.join()).toContain(`Authorization: Basic ${credentials}`);
  expect(String(error)).toContain(
    `"https://localhost:${endpoint.port}/bundle?…" redirects (status 302) to "https://localhost/x?…"`,
  );
  expect(String(error)).not.toMatch(/hidden|user|u:/);
  for (const failing of [source, { ...source, unixSocket: '/nowhere.sock' }]) {
    const failure: unknown = await readBundle(failing, EXAMPLE, signal).catch((reason: unknown) => reason);
    expect(String(failure)).toMatch(/localhost:\d+\/bundle\?…/);
    expect(String(failure)).not.toMatch(/hidden|user:/);
  }
});

describe('trust_bundle_unix_socket', () => {
  /** What a helper beside the agent serves, by path. */
  async function serve(answers: Readonly<Record<string, string>>, name: string) {
    const asked: string[] = [];
    const server = createServer(({ url = '' }, response) => {
      asked.push(url);
      response.end(answers[url] ?? '');
    });
    const path = domain.folder.join(name);
    server.listen(path);
    await once(server, 'listening');
    resources.defer(() => void server.close());
    return { path, asked };
  }

  test.each([
    ['pem', () => pem],
    ['spiffe', () => formatBundleDocument(domain.server.running.bundle)],
  ])('an agent joins by a bundle in the format %s', async (format, body) => {
    const { path, asked } = await serve({ '/bundle?of=example.org': body() }, `${format}.sock`);
    const settings = `trust_bundle_url = "http://localhost/bundle?of=example.org"
  trust_bundle_unix_socket = "${path}"
  trust_bundle_format = "${format}"
  join_token = "${await domain.createToken()}"`;
    await using agent = await domain.startAgent(`url-${format}`, { settings });
    await expect.poll(() => fetchIds(agent), { timeout: 30_000 }).toEqual(['spiffe://example.org/web']);
    expect(asked).toEqual(['/bundle?of=example.org']);
  });

  test.each([
    ['nothing', '', /has no X.509 authority|no certificate|cannot be used/],
    ['another format', 'no bundle', /cannot be used, see trust_bundle_format/],
  ])('an answer with %s is refused', async (_what, body, message) => {
    const { path: unixSocket } = await serve({ '/': body }, `wrong-${body.length}.sock`);
    const source = { type: 'url', url: 'http://localhost/', format: 'pem', unixSocket } as const;
    await expect(readBundle(source, EXAMPLE, signal)).rejects.toThrow(message);
  });

  test('a socket where nobody is, is named', async () => {
    const source = { type: 'url', url: 'http://localhost/', format: 'pem', unixSocket: '/nowhere.sock' } as const;
    await expect(readBundle(source, EXAMPLE, signal)).rejects.toThrow(
      /"http:\/\/localhost\/" at the socket "\/nowhere.sock" did not answer: .*ENOENT/,
    );
  });
});

test('trust_bundle_spiffe_workload_api: an agent joins by the bundle of the agent below', async () => {
  await using below = await domain.startAgent('below');
  await expect.poll(() => fetchIds(below), { timeout: 30_000 }).toEqual(['spiffe://example.org/web']);
  const address = `unix://${below.running.socketPath}`;
  const settings = `trust_bundle_spiffe_workload_api = "${address}"\n  join_token = "${await domain.createToken()}"`;
  await using agent = await domain.startAgent('above', { settings });
  await expect.poll(() => fetchIds(agent), { timeout: 30_000 }).toEqual(['spiffe://example.org/web']);
  await expect(readBundle({ type: 'workload_api', address }, parseTrustDomain('other.org'), signal)).rejects.toThrow(
    /has no bundle of "other.org", but of spiffe:\/\/example.org: correct trust_domain/,
  );
});
