import { createHash, createPublicKey, generateKeyPairSync, randomBytes, verify } from 'node:crypto';
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import type { KindName } from '../../../src/authoring/new-plugin/index.ts';
import type { PluginConfig } from '../../../src/config/plugins.ts';
import { parseSpiffeId } from '../../../src/spiffe/spiffe-id.ts';
import { TestAuthority } from '../../../src/testing/test-authority.ts';
import { parseCertificate } from '../../../src/x509/certificate.ts';
import { verifyChain } from '../../../src/x509/chain.ts';
import { createCsr } from '../../../src/x509/csr.ts';
import { encodePem } from '../../../src/x509/pem.ts';
import { type KeyType, signerOfKeyObject } from '../../../src/x509/signer.ts';
import { builtPlugin } from '../../harness/built-programs.ts';
import { JOIN_TOKEN, pluginConfig, SQL, TestHost } from '../../plugin-host/go-plugins.ts';
import { loadAgent, loadServer, requireLoaded } from '../../plugin-host/implementations.ts';
import { SAMPLE_BUNDLE } from '../../plugin-host/sample-bundle.ts';
import type { MadeProject } from './made-project.ts';

/** Uses a built project in our host, with the manifest beside it, and wants what its README promises. */
export type Behaviour = (project: MadeProject, folder: string) => Promise<void>;

const { signal } = new AbortController();
const pkcs8 = (key: ReturnType<typeof generateKeyPairSync>['privateKey']) =>
  typeof key === 'string' ? key : String(key.export({ format: 'pem', type: 'pkcs8' }));

/** The plugin of one side, confined as its manifest says. */
function configOf({ name, halves, program }: MadeProject, side: 'server' | 'agent', text: string): PluginConfig {
  const half = halves.find((one) => one.side === side);
  if (half === undefined) throw new Error(`there is no half of the ${side}`);
  return pluginConfig({ type: half.type, name, command: program(half), data: { text } });
}

const anyAttestor = pluginConfig({
  type: 'WorkloadAttestor',
  name: 'any',
  command: process.execPath,
  args: [fileURLToPath(new URL('../../interop/sdk-plugins/workload-attestor.ts', import.meta.url))],
});

const pem = (certificates: readonly Uint8Array[]) => certificates.map((der) => encodePem('CERTIFICATE', der)).join('');

export const BEHAVIOURS: Readonly<Record<KindName, Behaviour>> = {
  'workload-attestor': async (project) => {
    const config = configOf(project, 'agent', `programs { node = "${process.execPath}" }`);
    await using catalog = await loadAgent(new TestHost(), [config]);
    const attestor = requireLoaded(catalog.workloadAttestors[0]);
    expect(await attestor.attest(process.pid, signal)).toEqual([{ type: project.name, value: 'program:node' }]);
    await expect(attestor.attest(2 ** 22 + 1, signal)).rejects.toThrow(/cannot be read/);
  },

  'node-attestor': async (project, folder) => {
    await mkdir(join(folder, 'keys'));
    const key = randomBytes(32);
    await writeFile(join(folder, 'keys', 'node-1'), key);
    await writeFile(join(folder, 'key'), key);
    await writeFile(join(folder, 'wrong'), randomBytes(32));
    await using server = await loadServer(new TestHost(), [
      configOf(project, 'server', `keys_path = "${folder}/keys"`),
    ]);
    const judge = requireLoaded(server.findServerNodeAttestor(project.name));
    const attest = async (keyFile: string) => {
      const data = `node = "node-1"\nkey_path = "${join(folder, keyFile)}"`;
      const memory = pluginConfig({ type: 'KeyManager', name: 'memory' });
      const host = new TestHost();
      await using agent = await host.load('agent', [memory, anyAttestor, configOf(project, 'agent', data)], {
        builtins: () => ({ command: process.execPath, args: [builtPlugin('agent', 'memory')] }),
      });
      const csrPublicKey = Buffer.from('a key');
      await using attestation = requireLoaded(agent.agentNodeAttestor).attest({ csrPublicKey, signal });
      const options = { csrPublicKey, clientAddress: '192.0.2.7', forwardedHost: '', signal };
      return await judge.attest(await attestation.payload, (challenge) => attestation.respond(challenge), options);
    };
    expect(await attest('key')).toMatchObject({
      spiffeId: `spiffe://example.org/spire/agent/${project.name}/node-1`,
      selectors: [{ type: project.name, value: 'node:node-1' }],
      canReattest: true,
    });
    await expect(attest('wrong')).rejects.toThrow(/the proof of node "node-1" is wrong/);
  },

  'key-manager': async (project) => {
    const server = configOf(project, 'server', '');
    const agent = configOf(project, 'agent', '');
    await using serverCatalog = await new TestHost().load('server', [SQL, server]);
    await using agentCatalog = await new TestHost().load('agent', [JOIN_TOKEN, anyAttestor, agent]);
    const types: readonly KeyType[] = ['ec-p256', 'ec-p384', 'rsa-2048'];
    for (const { keyManager } of [serverCatalog, agentCatalog]) {
      for (const type of types) {
        const key = await keyManager.generateKey(type, type);
        const signature = await key.signDigest(createHash('sha256').update('data').digest(), 'sha256');
        const publicKey = createPublicKey({ key: Buffer.from(key.publicKey), format: 'der', type: 'spki' });
        expect(verify('sha256', Buffer.from('data'), publicKey, signature)).toBe(true);
      }
      expect((await keyManager.getKeys()).map(({ id }) => id)).toEqual(types);
    }
  },

  'svid-store': async (project, folder) => {
    await using catalog = await loadAgent(new TestHost(), [
      anyAttestor,
      configOf(project, 'agent', `folder = "${folder}/svids"`),
    ]);
    const store = requireLoaded(catalog.svidStores[0]);
    const stored = {
      spiffeId: parseSpiffeId('spiffe://example.org/web'),
      certificates: [Buffer.from('leaf'), Buffer.from('intermediate')],
      privateKey: Buffer.from('key'),
      bundle: [Buffer.from('root')],
      expiresAt: 1_900_000_000,
      metadata: ['name:web'],
      federatedBundles: new Map(),
    };
    await store.putX509Svid(stored, signal);
    const own = join(folder, 'svids', 'web');
    expect(await readFile(join(own, 'svid.pem'), 'utf8')).toBe(pem(stored.certificates));
    expect(await readFile(join(own, 'bundle.pem'), 'utf8')).toBe(pem(stored.bundle));
    expect((await stat(join(own, 'key.pem'))).mode & 0o777).toBe(0o600);
    await expect(store.putX509Svid({ ...stored, metadata: ['name:../x'] }, signal)).rejects.toThrow(/the name/);
    await store.deleteX509Svid(['name:web'], signal);
    expect(await readdir(join(folder, 'svids'))).toEqual([]);
  },

  'upstream-authority': async (project, folder) => {
    const authority = await TestAuthority.create();
    const root = await writeRoot(folder);
    const config = configOf(project, 'server', `cert_path = "${folder}/root.pem"\nkey_path = "${folder}/root.key"`);
    await using catalog = await loadServer(new TestHost(), [config]);
    const signer = signerOfKeyObject(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey);
    const csr = await createCsr({ signer, uriNames: ['spiffe://example.org'] });
    const upstream = requireLoaded(catalog.upstreamAuthority);
    await using minted = await upstream.mintX509Ca({ csr, preferredTtlSeconds: 3600 }, signal);
    const [ca, ...intermediates] = minted.first.certificates.map(parseCertificate);
    const roots = minted.first.roots.map(({ certificate }) => parseCertificate(certificate));
    expect(roots.map(({ der }) => Buffer.from(der))).toEqual([Buffer.from(root)]);
    const leaf = requireLoaded(ca);
    expect(leaf).toMatchObject({ isCa: true, uriNames: ['spiffe://example.org'] });
    expect(verifyChain({ leaf, intermediates, roots, now: new Date() })).toHaveLength(2);
    const strangers = [parseCertificate(authority.certificate.der)];
    expect(() => verifyChain({ leaf, intermediates, roots: strangers, now: new Date() })).toThrow();
  },

  'bundle-publisher': async (project, folder) => {
    await mkdir(join(folder, 'public'));
    const path = join(folder, 'public', 'bundle.pem');
    await using catalog = await loadServer(new TestHost(), [configOf(project, 'server', `path = "${path}"`)]);
    const publisher = requireLoaded(catalog.bundlePublishers[0]);
    await publisher.publishBundle(SAMPLE_BUNDLE, signal);
    const certificates = SAMPLE_BUNDLE.x509Authorities.map(({ certificate }) => certificate);
    expect(await readFile(path, 'utf8')).toBe(pem(certificates));
    const { ino } = await stat(path);
    await publisher.publishBundle(SAMPLE_BUNDLE, signal);
    expect((await stat(path)).ino).toBe(ino);
  },

  'credential-composer': async (project) => {
    await using catalog = await loadServer(new TestHost(), [configOf(project, 'server', 'organization = "Example"')]);
    const composer = requireLoaded(catalog.credentialComposers[0]);
    const of = { spiffeId: parseSpiffeId('spiffe://example.org/web'), publicKey: Buffer.from('key') };
    const attributes = { subject: { commonName: 'web' }, dnsNames: ['web'], extraExtensions: [] };
    expect(await composer.composeWorkloadX509Svid(of, attributes, signal)).toMatchObject({
      subject: { commonName: 'web', organization: ['Example'] },
      dnsNames: ['web'],
    });
    expect(await composer.composeAgentX509Svid(of, attributes, signal)).toEqual(attributes);
    expect(await composer.composeWorkloadJwtSvid(of.spiffeId, { claims: { sub: 'x' } }, signal)).toEqual({
      claims: { sub: 'x', org: 'Example' },
    });
  },

  notifier: async (project, folder) => {
    await mkdir(join(folder, 'log'));
    const path = join(folder, 'log', 'journal');
    await using catalog = await loadServer(new TestHost(), [configOf(project, 'server', `journal_path = "${path}"`)]);
    const notifier = requireLoaded(catalog.notifiers[0]);
    await notifier.notifyAndAdvise(SAMPLE_BUNDLE, signal);
    await notifier.notify(SAMPLE_BUNDLE, signal);
    const rest = `: example.org sequence=${SAMPLE_BUNDLE.sequenceNumber} x509=2 jwt=2\n`;
    expect(await readFile(path, 'utf8')).toBe(`bundle loaded${rest}bundle updated${rest}`);
  },
};

/** A root CA and its key in files, as the README's openssl makes them. */
async function writeRoot(folder: string): Promise<Uint8Array> {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const { issueCaCertificate } = await import('../../../src/x509/ca-template.ts');
  const certificate = await issueCaCertificate({
    issuer: 'self',
    signer: signerOfKeyObject(privateKey),
    trustDomain: 'upstream.example',
    serialNumber: Uint8Array.of(0x40, ...randomBytes(17)),
    notBefore: new Date(Date.now() - 60_000),
    notAfter: new Date(Date.now() + 86_400_000),
  });
  await writeFile(join(folder, 'root.pem'), encodePem('CERTIFICATE', certificate));
  await writeFile(join(folder, 'root.key'), pkcs8(privateKey), { mode: 0o600 });
  return certificate;
}
