import { writeFile } from 'node:fs/promises';
import { createRemoteJWKSet, customFetch, jwtVerify } from 'jose';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { BundleDefinition } from '../../src/gen/spire/api/server/bundle/v1/bundle.ts';
import { SVIDDefinition } from '../../src/gen/spire/api/server/svid/v1/svid.ts';
import { formatBundleDocument } from '../../src/spiffe/bundle-document.ts';
import { TestAuthority } from '../../src/testing/test-authority.ts';
import { MYSELF, TestDomain } from '../agent/test-domain.ts';
import { runCli } from '../cli/run-cli.ts';
import { authoritySteps } from '../harness/authority-steps.ts';
import { curl } from '../harness/curl.ts';
import { startOidcProgram } from './oidc-program.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const DOMAIN = 'oidc.example.org';
const POLL = { timeout: 30_000, interval: 100 };
const resources = new AsyncDisposableStack();
let domain: TestDomain;

beforeAll(async () => {
  domain = resources.use(await TestDomain.start({ settings: `jwt_issuer = "https://${DOMAIN}"` }));
});
afterAll(() => resources.disposeAsync());

const fromServer = () =>
  `server_api { address = "unix://${domain.server.running.socketPath}" poll_interval = "100ms" }`;
const start = (settings: string) =>
  startOidcProgram({ folder: domain.folder.path, settings: `domains = ["${DOMAIN}"]\n${settings}` });
const inClear = (settings = fromServer()) => start(`insecure_addr = "127.0.0.1:PORT"\n${settings}`);

const asDomain = ['--header', `Host: ${DOMAIN}`];
const get = (port: number, path: string, ...args: readonly string[]) =>
  curl(`http://127.0.0.1:${port}${path}`, ...args);
const DISCOVERY = '/.well-known/openid-configuration';

async function keyIds(port: number): Promise<readonly string[]> {
  const { status, body } = await get(port, '/keys');
  if (status !== 200) return [];
  return JSON.parse(body).keys.map(({ kid }: { kid: string }) => kid);
}

async function mint(audience = 'a relying party'): Promise<string> {
  const id = { trustDomain: 'example.org', path: '/workload' };
  const { svid } = await domain.server.admin(SVIDDefinition).mintJWTSVID({ id, audience: [audience], ttl: 300 });
  return svid?.token ?? '';
}

/** As a relying party that finds the keys by the issuer; its name resolves to the provider. */
async function verifyAsRelyingParty(token: string, port: number, audience = 'a relying party'): Promise<string> {
  const { body } = await get(port, DISCOVERY, ...asDomain);
  const { issuer, jwks_uri: uri } = JSON.parse(body);
  const keys = createRemoteJWKSet(new URL(uri), {
    cooldownDuration: 0,
    [customFetch]: (url, options) =>
      fetch(url.replace(`https://${DOMAIN}`, `http://127.0.0.1:${port}`), { ...options, redirect: 'error' }),
  });
  const { payload } = await jwtVerify(token, keys, { issuer, audience });
  return payload.sub ?? '';
}

describe('a provider with the keys of the server', () => {
  let port: number;
  beforeAll(async () => {
    ({ port } = resources.use(await inClear()));
    await vi.waitUntil(async () => (await keyIds(port)).length === 1, POLL);
  });

  test('shows where the keys are, and the keys, to whoever calls it by one of its names', async () => {
    const found = await get(port, DISCOVERY, ...asDomain);
    expect(found).toMatchObject({ status: 200, contentType: 'application/json' });
    expect(JSON.parse(found.body)).toEqual({
      issuer: `https://${DOMAIN}`,
      jwks_uri: `https://${DOMAIN}/keys`,
      authorization_endpoint: '',
      response_types_supported: ['id_token'],
      subject_types_supported: ['public'],
      id_token_signing_alg_values_supported: ['RS256', 'ES256', 'ES384'],
    });
    const { jwtAuthorities } = await domain.server.admin(BundleDefinition).getBundle({ outputMask: undefined });
    const { body } = await get(port, '/keys');
    expect(JSON.parse(body)).toEqual({
      keys: [
        {
          ...{ kty: 'EC', crv: 'P-256', alg: 'ES256', kid: jwtAuthorities[0]?.keyId },
          ...{ x: expect.any(String), y: expect.any(String) },
        },
      ],
    });
    const named = async (...args: readonly string[]) => JSON.parse((await get(port, DISCOVERY, ...args)).body).issuer;
    expect(await named('--header', `Host: ${DOMAIN.toUpperCase()}:8443`)).toBe(`https://${DOMAIN.toUpperCase()}:8443`);
    expect(await named('--header', 'Host: inner', '--header', `X-Forwarded-Host: ${DOMAIN}`)).toBe(`https://${DOMAIN}`);
  });

  test.each([
    ['another name', ['--header', 'Host: evil.example'], 400, /"evil\.example" is not among the domains/],
    [
      'a proxy’s other name',
      [...asDomain, '--header', 'X-Forwarded-Host: evil.example'],
      400,
      /"evil\.example" is not/,
    ],
    ['a name that is none', ['--header', 'Host: <script>'], 400, /"" is not among the domains/],
    ['no name', ['--header', 'Host:', '--http1.0'], 400, /"" is not among the domains/],
    ['POST', [...asDomain, '--request', 'POST'], 405, /only GET and HEAD/],
    ['a body', [...asDomain, '--request', 'GET', '--data', 'x'], 413, /no body is wanted/],
  ])('%s is refused', async (_what, args, status, message) => {
    const answer = await get(port, DISCOVERY, ...args);
    expect(answer).toMatchObject({ status, body: expect.stringMatching(message) });
  });

  test('asks caches to ask again, and answers those that have the document with a word', async () => {
    await using provider = await inClear(
      `set_key_use = true log_requests = true server_path_prefix = "/prod"\n${fromServer()}`,
    );
    const { program } = provider;
    const { port: prefixed } = provider;
    await expect.poll(async () => (await get(prefixed, '/prod/keys')).status, POLL).toBe(200);
    const { body } = await get(prefixed, '/prod/keys', '--include');
    const [headers = '', json = ''] = body.split('\r\n\r\n');
    expect(JSON.parse(json)).toMatchObject({ keys: [{ use: 'sig', alg: 'ES256' }] });
    expect(headers).toMatch(/^Cache-Control: no-cache\r?$/m);
    expect(headers).toMatch(/^Access-Control-Allow-Origin: \*\r?$/m);
    const tag = /^ETag: (".*")\r?$/m.exec(headers)?.[1] ?? '';
    const again = await get(prefixed, '/prod/keys', '--header', `If-None-Match: "x", W/${tag}`);
    expect(again).toMatchObject({ status: 304, body: '' });
    expect((await get(prefixed, '/prod/keys', '--header', 'If-None-Match: "x"')).status).toBe(200);
    expect(await get(prefixed, '/keys')).toMatchObject({ status: 404, body: expect.stringContaining('/prod/keys') });
    expect(program.text).toMatch(/a request.*GET.*\/prod\/keys/);
  });

  test('jose, which finds the keys by the issuer, verifies tokens through a rotation, and no longer once a key is revoked', async () => {
    const jwt = authoritySteps(domain.server, 'JWT');
    const first = await jwt.active();
    await expect.poll(() => keyIds(port), POLL).toContain(first);
    const token = await mint();
    expect(await verifyAsRelyingParty(token, port)).toBe('spiffe://example.org/workload');
    await expect(verifyAsRelyingParty(token, port, 'another')).rejects.toThrow(/unexpected "aud"/);
    await expect(verifyAsRelyingParty(`${token.slice(0, -8)}AAAAAAAA`, port)).rejects.toThrow(
      /signature verification failed/,
    );
    const second = await jwt.prepare();
    await expect.poll(() => keyIds(port), POLL).toContain(second); // before anything is signed by it
    await jwt.activate(second);
    const next = await mint();
    expect(await verifyAsRelyingParty(next, port)).toBe('spiffe://example.org/workload');
    expect(await verifyAsRelyingParty(token, port)).toBe('spiffe://example.org/workload');
    await jwt.taint(first);
    await jwt.revoke(first);
    await expect.poll(() => keyIds(port), POLL).not.toContain(first);
    await expect(verifyAsRelyingParty(token, port)).rejects.toThrow(/no applicable key found/);
    expect(await verifyAsRelyingParty(next, port)).toBe('spiffe://example.org/workload');
  });
});

test('keys come from an agent as well; a server that is away takes none of them', async () => {
  await using own = await TestDomain.start();
  await own.createEntry('/oidc', { selectors: [MYSELF] });
  await using agent = await own.startAgent();
  const source = `workload_api { socket_path = "${agent.running.socketPath}" trust_domain = "example.org" poll_interval = "100ms" }`;
  const health = 'health_checks { bind_address = "127.0.0.1" bind_port = PORT }';
  await using provider = await start(`listen_socket_path = "${own.folder.join('oidc.sock')}"\n${health}\n${source}`);
  const keys = () => curl('http://localhost/keys', '--unix-socket', own.folder.join('oidc.sock'));
  await expect.poll(async () => (await keys()).status, POLL).toBe(200);
  expect((await get(provider.port, '/ready')).status).toBe(200);
  const before = await keys();
  await own.stopServer();
  await agent.running[Symbol.asyncDispose]();
  await provider.program.waitFor('the keys were not had');
  expect(await keys()).toEqual(before);
  expect((await get(provider.port, '/live')).status).toBe(200);
});

test('keys come from a file, over TLS with a certificate in files', async () => {
  await using authority = await TestAuthority.create('web.example');
  const path = domain.folder.join('bundle.json');
  const { running } = domain.server;
  await writeFile(path, formatBundleDocument(running.bundle));
  const files = await authority.writeCredential(await authority.issueLeaf({ dnsNames: [DOMAIN] }));
  const tls = `serving_cert_file { addr = "127.0.0.1:PORT" cert_file_path = "${files.certificatePath}" key_file_path = "${files.keyPath}" }`;
  await using provider = await start(`${tls}\nfile { path = "${path}" poll_interval = "100ms" }`);
  const { port, program } = provider;
  const ask = async (document: string) =>
    await curl(
      `https://${DOMAIN}:${port}${document}`,
      ...['--resolve', `${DOMAIN}:${port}:127.0.0.1`, '--cacert', await authority.writeCertificate()],
    );
  await expect.poll(async () => (await ask('/keys')).status, POLL).toBe(200);
  const { keyId } = running.bundle.jwtAuthorities[0] ?? {};
  expect(JSON.parse((await ask('/keys')).body)).toMatchObject({ keys: [{ kid: keyId }] });
  expect(JSON.parse((await ask(DISCOVERY)).body).jwks_uri).toBe(`https://${DOMAIN}:${port}/keys`);
  await writeFile(path, '{"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "x", "use": "jwt-svid"}]}');
  await program.waitFor('the keys were not had');
  expect(program.text).toMatch(/keys\[0\] has \\"k\\", a part of a private key/);
  expect(JSON.parse((await ask('/keys')).body)).toMatchObject({ keys: [{ kid: keyId }] });
});

test('a provider that never had keys says so', async () => {
  const source = `file { path = "${domain.folder.join('none.json')}" poll_interval = "100ms" }`;
  await using provider = await start(
    `listen_socket_path = "${domain.folder.join('p.sock')}"\nhealth_checks { bind_address = "127.0.0.1" bind_port = PORT }\n${source}`,
  );
  const keys = await curl('http://localhost/keys', '--unix-socket', domain.folder.join('p.sock'));
  expect(keys).toMatchObject({ status: 500, body: 'the keys are not known yet: the log says why\n' });
  const ready = await get(provider.port, '/ready');
  expect(ready).toMatchObject({ status: 500, body: expect.stringContaining('no keys were had of') });
  expect((await get(provider.port, '/live')).status).toBe(200);
});

test('mistakes of the configuration are told, a line each', async () => {
  const path = domain.folder.join('wrong.conf');
  await writeFile(path, 'domains = [""]\ninsecure_addr = "nowhere"\n');
  const { code, stderr } = await runCli(['oidc-discovery', '-config', path]);
  expect(stderr).toMatch(
    /wrong\.conf:1.* domains\[0\]: must be a domain name[\s\S]*wrong\.conf:2.* insecure_addr: must be an address/,
  );
  expect(code).toBe(1);
});
