import { generateKeyPairSync } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { PluginCatalog } from '../../../src/plugin-host/catalog.ts';
import type { UpstreamAuthority } from '../../../src/plugin-host/kinds/upstream-authority.ts';
import { Status } from '../../../src/spiffe/status.ts';
import { parseCertificate } from '../../../src/x509/certificate.ts';
import { verifyChain } from '../../../src/x509/chain.ts';
import { createCsr } from '../../../src/x509/csr.ts';
import { signerOfKeyObject } from '../../../src/x509/signer.ts';
import { MYSELF, TestDomain } from '../../agent/test-domain.ts';
import { builtinPlugins } from '../../harness/built-programs.ts';
import { createTemporaryFolder } from '../../harness/temporary-folder.ts';
import { JOIN_TOKEN, pluginConfig, SQL, TestHost } from '../../plugin-host/go-plugins.ts';
import { requireLoaded } from '../../plugin-host/implementations.ts';

vi.setConfig({ testTimeout: 90_000, hookTimeout: 90_000 }); // a server, an agent and plugins

const signer = signerOfKeyObject(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey);
const csr = await createCsr({ signer, uriNames: ['spiffe://example.org'] });
const { signal } = new AbortController();
const resources = new AsyncDisposableStack();
const host = new TestHost();
let above: TestDomain;
let plugins: string;
let socketPath: string;
let upstream: UpstreamAuthority;

async function load(port: number, socket = socketPath): Promise<PluginCatalog> {
  const text = `server_address = "127.0.0.1"\nserver_port = "${port}"\nworkload_api_socket = "${socket}"`;
  const others = [SQL, JOIN_TOKEN, pluginConfig({ type: 'KeyManager', name: 'memory' })];
  const spire = pluginConfig({ type: 'UpstreamAuthority', name: 'spire', data: { text } });
  return await host.load('server', [...others, spire], {
    builtins: builtinPlugins('server'),
    dataDir: above.folder.path,
  });
}

const jwtKey = (keyId: string) => ({
  keyId,
  publicKey: signer.publicKey,
  expiresAt: Math.floor(Date.now() / 1000) + 3600,
  tainted: false,
});

beforeAll(async () => {
  const keys = resources.use(await createTemporaryFolder());
  plugins = `KeyManager "disk" { plugin_data { keys_path = "${keys.join('keys.json')}" } }\n  NodeAttestor "join_token" {}`;
  above = resources.use(await TestDomain.start({ plugins }));
  await above.createEntry('/server-below', { downstream: true });
  const agent = resources.use(await above.startAgent());
  socketPath = agent.running.socketPath;
  upstream = requireLoaded(resources.use(await load(above.port)).upstreamAuthority);
});
afterAll(() => resources.disposeAsync());

describe('below a server', () => {
  test('has its CA signed, with the chain and the roots of the server above', async () => {
    await using minted = await upstream.mintX509Ca({ csr, preferredTtlSeconds: 900 }, signal);
    const [leaf, ...intermediates] = minted.first.certificates.map(parseCertificate);
    const roots = minted.first.roots.map(({ certificate }) => parseCertificate(certificate));
    const ca = requireLoaded(leaf);
    expect(ca).toMatchObject({ isCa: true, uriNames: ['spiffe://example.org'] });
    expect(Buffer.from(ca.subjectPublicKeyInfo)).toEqual(Buffer.from(signer.publicKey));
    expect(Math.abs(ca.notAfter.getTime() - Date.now() - 900_000)).toBeLessThan(60_000);
    expect(verifyChain({ leaf: ca, intermediates, roots, now: new Date() })).toHaveLength(2);
  });

  test('publishes JWT keys above, and hears of those of others', async () => {
    await using published = requireLoaded(await upstream.publishJwtKey(jwtKey('mine'), signal));
    const [own] = above.server.running.bundle.jwtAuthorities;
    expect(published.first.map(({ keyId }) => keyId)).toEqual([own?.keyId, 'mine']);
    await using second = requireLoaded(await upstream.publishJwtKey(jwtKey('another'), signal));
    expect(second.first).toHaveLength(3);
    const { value: keys } = await published.updates[Symbol.asyncIterator]().next();
    expect(keys).toEqual(second.first);
  });

  test('follows the bundle of the server above without minting', async () => {
    await using bundle = requireLoaded(await upstream.subscribeToLocalBundle(signal));
    const { x509Authorities } = above.server.running.bundle;
    expect(bundle.first.x509Authorities).toEqual(x509Authorities);
    await using published = requireLoaded(await upstream.publishJwtKey(jwtKey('third'), signal));
    const { value } = await bundle.updates[Symbol.asyncIterator]().next();
    expect(value.jwtAuthorities).toEqual(published.first);
  });

  test('a refusal of the server above is told as it is', async () => {
    const other = {
      ...jwtKey('mine'),
      publicKey: signerOfKeyObject(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey).publicKey,
    };
    await expect(upstream.publishJwtKey(other, signal)).rejects.toMatchObject({
      status: Status.AlreadyExists,
      message: expect.stringMatching(/upstreamauthority\(spire\): another JWT authority has the key ID "mine"/),
    });
  });
});

test('a server above that comes back is found again, and one that is away is said to be', async () => {
  const { port } = above;
  await above.stopServer();
  await expect(upstream.mintX509Ca({ csr, preferredTtlSeconds: 0 }, signal)).rejects.toThrow(
    new RegExp(`the server at 127.0.0.1 port ${port} does not answer: .*ECONNREFUSED`),
  );
  await above.startServer({ port, plugins });
  await using minted = await upstream.mintX509Ca({ csr, preferredTtlSeconds: 0 }, signal);
  expect(minted.first.certificates).toHaveLength(1);
});

test('without a downstream entry the server above refuses', async () => {
  await using bare = await TestDomain.start();
  await bare.createEntry('/somebody', { selectors: [MYSELF] });
  await using agent = await bare.startAgent();
  await using catalog = await load(bare.port, agent.running.socketPath);
  const spire = requireLoaded(catalog.upstreamAuthority);
  await expect(spire.mintX509Ca({ csr, preferredTtlSeconds: 0 }, signal)).rejects.toMatchObject({
    status: Status.PermissionDenied,
    message: expect.stringMatching(/is not a downstream server/),
  });
  await using bundle = requireLoaded(await spire.subscribeToLocalBundle(signal)); // that is for everybody
  expect(bundle.first.x509Authorities).toHaveLength(1);
});
