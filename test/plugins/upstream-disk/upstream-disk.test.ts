import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { chmodSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { PluginCatalog } from '../../../src/plugin-host/catalog.ts';
import { AuthorityFiles } from '../../../src/plugins/upstream-disk/authority-files.ts';
import { issueCaCertificate } from '../../../src/x509/ca-template.ts';
import { parseCertificate } from '../../../src/x509/certificate.ts';
import { createCsr } from '../../../src/x509/csr.ts';
import { encodeName } from '../../../src/x509/name.ts';
import { encodePem } from '../../../src/x509/pem.ts';
import { signerOfKeyObject } from '../../../src/x509/signer.ts';
import { AuthorityFolder, type MadeCa } from '../../harness/authority-folder.ts';
import { builtinPlugins } from '../../harness/built-programs.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../../harness/temporary-folder.ts';
import { JOIN_TOKEN, pluginConfig, SQL, TestHost } from '../../plugin-host/go-plugins.ts';
import { requireLoaded } from '../../plugin-host/implementations.ts';

const signer = signerOfKeyObject(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey);
const csr = await createCsr({
  signer,
  uriNames: ['spiffe://example.org'],
  subject: encodeName({ organization: 'Ours' }),
});
const { signal } = new AbortController();

let folder: AuthorityFolder;
let data: TemporaryFolder;
let root: MadeCa;
let intermediate: MadeCa;
beforeAll(async () => {
  folder = new AuthorityFolder();
  chmodSync(folder.path, 0o755);
  data = await createTemporaryFolder();
  root = folder.root('root');
  intermediate = folder.below(root, 'intermediate');
});
afterAll(async () => {
  folder[Symbol.dispose]();
  await data[Symbol.asyncDispose]();
});

interface Files {
  readonly cert: string;
  readonly key: string;
  readonly bundle?: string | undefined;
}

async function load({ cert, key, bundle = '' }: Files, host = new TestHost()): Promise<PluginCatalog> {
  const text = `cert_file_path = "${cert}"\nkey_file_path = "${key}"\nbundle_file_path = "${bundle}"`;
  const plugins = [SQL, JOIN_TOKEN, pluginConfig({ type: 'KeyManager', name: 'memory' })];
  const disk = pluginConfig({ type: 'UpstreamAuthority', name: 'disk', data: { text } });
  return await host.load('server', [...plugins, disk], { builtins: builtinPlugins('server'), dataDir: data.path });
}

async function mint(catalog: PluginCatalog, ttl = 3600, request = csr) {
  return await requireLoaded(catalog.upstreamAuthority).mintX509Ca({ csr: request, preferredTtlSeconds: ttl }, signal);
}

const write = (name: string, ...contents: readonly string[]) => folder.write(name, contents.join(''));
const read = (path: string) => readFileSync(path, 'utf8');
const der = (path: string) => Buffer.from(read(path).replaceAll(/-----.*-----|\s/g, ''), 'base64');

/** The chain by the openssl command line. */
function verifyByOpenSsl(certificates: readonly Uint8Array[], roots: string): string {
  const [leaf = new Uint8Array(), ...above] = certificates;
  const file = write('minted.pem', encodePem('CERTIFICATE', leaf));
  const chain = write('chain.pem', ...above.map((one) => encodePem('CERTIFICATE', one)));
  return folder.run('verify', '-CAfile', roots, ...(above.length > 0 ? ['-untrusted', chain] : []), file);
}

describe('a CA on disk', () => {
  test.each([
    ['P-256', ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256']],
    ['P-384', ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-384']],
    ['RSA 2048', ['-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048']],
  ])('that signed itself signs the CA of the server: %s', async (name, key) => {
    const ca = folder.root(`self-${name.replace(' ', '-')}`, { key });
    await using catalog = await load({ cert: ca.certificate, key: ca.key });
    await using minted = await mint(catalog);
    const [certificate = new Uint8Array(), ...above] = minted.first.certificates;
    const parsed = parseCertificate(certificate);
    expect(above).toEqual([]);
    expect(parsed.uriNames).toEqual(['spiffe://example.org']);
    expect(Buffer.from(parsed.subjectPublicKeyInfo)).toEqual(Buffer.from(signer.publicKey));
    expect(Buffer.from(parsed.subject)).toEqual(Buffer.from(encodeName({ organization: 'Ours' })));
    expect(minted.first.roots.map(({ certificate: one }) => Buffer.from(one))).toEqual([der(ca.certificate)]);
    expect(verifyByOpenSsl(minted.first.certificates, ca.certificate)).toMatch(/OK/);
  });

  test('below a root signs it with the chain that leads there', async () => {
    const cert = write('both.pem', read(intermediate.certificate), read(root.certificate));
    await using catalog = await load({ cert, key: intermediate.key, bundle: root.certificate });
    await using minted = await mint(catalog);
    expect(minted.first.certificates).toHaveLength(2); // the root is in the bundle, and in no chain
    expect(verifyByOpenSsl(minted.first.certificates, root.certificate)).toMatch(/OK/);
  });

  test('signs nothing that outlives it', async () => {
    await using catalog = await load({ cert: root.certificate, key: root.key });
    await using minted = await mint(catalog, 2 ** 31 - 1);
    const [certificate = new Uint8Array()] = minted.first.certificates;
    expect(parseCertificate(certificate).notAfter).toEqual(parseCertificate(der(root.certificate)).notAfter);
  });

  test('takes no JWT key: that stays with the server', async () => {
    await using catalog = await load({ cert: root.certificate, key: root.key });
    const key = { keyId: 'a', publicKey: signer.publicKey, expiresAt: 0, tainted: false };
    expect(await requireLoaded(catalog.upstreamAuthority).publishJwtKey(key, signal)).toBeUndefined();
  });

  test.each([
    ['another trust domain', { uriNames: ['spiffe://other.example'] }],
    ['a workload', { uriNames: ['spiffe://example.org/workload'] }],
    ['a host', { uriNames: ['spiffe://example.org'], dnsNames: ['host.example.org'] }],
  ])('signs no CSR of %s', async (_what, names) => {
    await using catalog = await load({ cert: root.certificate, key: root.key });
    const request = await createCsr({ signer, ...names });
    await expect(mint(catalog, 60, request)).rejects.toThrow(/may have the URI name spiffe:\/\/example.org alone/);
  });

  test('that is replaced while it runs: the roots follow at once, the next CA is signed by the new one', async () => {
    const old = folder.root('old');
    const next = folder.root('next');
    const [cert, key] = [write('in-use.pem', read(old.certificate)), write('in-use.key', read(old.key))];
    const host = new TestHost();
    await using catalog = await load({ cert, key }, host);
    await using minted = await mint(catalog);
    await using bundle = requireLoaded(await requireLoaded(catalog.upstreamAuthority).subscribeToLocalBundle(signal));
    const updates = minted.updates[Symbol.asyncIterator]();
    const bundles = bundle.updates[Symbol.asyncIterator]();
    replace(cert, read(next.certificate)); // with the old key: of no use until the key is there too
    await expect
      .poll(() => host.records.map(({ fields }) => String(fields.error)).join())
      .toMatch(/is not the key of the first certificate/);
    {
      await using meanwhile = await mint(catalog);
      expect(verifyByOpenSsl(meanwhile.first.certificates, old.certificate)).toMatch(/OK/);
    }
    replace(key, read(next.key));
    const { value: roots } = await updates.next();
    expect(roots).toEqual([{ certificate: new Uint8Array(der(next.certificate)), tainted: false }]);
    expect((await bundles.next()).value.x509Authorities).toEqual(roots);
    await using again = await mint(catalog);
    expect(verifyByOpenSsl(again.first.certificates, next.certificate)).toMatch(/OK/);
  });
});

function replace(path: string, content: string): void {
  writeFileSync(`${path}.new`, content);
  renameSync(`${path}.new`, path);
}

describe('files that are of no use are refused at the start, with the reason', () => {
  const leaf = ['basicConstraints = critical, CA:FALSE'];
  const noSign = ['basicConstraints = critical, CA:TRUE', 'keyUsage = critical, digitalSignature'];
  const narrow = ['basicConstraints = critical, CA:TRUE, pathlen:0', 'keyUsage = critical, keyCertSign'];
  const rows: readonly (readonly [string, () => Files | Promise<Files>, RegExp])[] = [
    ['an expired certificate', expired, /expired at 2020-02-01/],
    [
      'the key of another',
      () => ({ cert: root.certificate, key: intermediate.key }),
      /is not the key of the first certificate/,
    ],
    [
      'a certificate that is no CA',
      () => made(folder.root('leaf', { extensions: leaf })),
      /is no CA by its basicConstraints/,
    ],
    [
      'a CA that may not sign',
      () => made(folder.root('no-sign', { extensions: noSign })),
      /no CA that may sign certificates/,
    ],
    ['a CA that allows none below it', () => made(folder.root('narrow', { extensions: narrow })), /pathlen:0/],
    [
      'a truncated certificate',
      () => ({ cert: write('cut.pem', read(root.certificate).slice(0, 300)), key: root.key }),
      /PEM block "CERTIFICATE" does not end/,
    ],
    [
      'a certificate that is not DER',
      () => ({ cert: write('junk.pem', encodePem('CERTIFICATE', Buffer.alloc(40, 7))), key: root.key }),
      /cert_file_path: ".*junk.pem"/,
    ],
    [
      'an oversized file',
      () => ({ cert: write('huge.pem', 'x'.repeat(1024 * 1024 + 1)), key: root.key }),
      /is larger than 1048576 bytes/,
    ],
    [
      'a truncated key',
      () => ({ cert: root.certificate, key: write('cut.key', read(root.key).slice(0, 100)) }),
      /key_file_path: .* does not parse/,
    ],
    ['an encrypted key', encrypted, /the key is encrypted/],
    [
      'a key of a curve that no server has',
      () => made(folder.root('p521', { key: ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-521'] })),
      /key_file_path/,
    ],
    [
      'a file that is not there',
      () => ({ cert: root.certificate, key: `${folder.path}/absent.key` }),
      /absent.key" cannot be read: ENOENT/,
    ],
    ['a folder', () => ({ cert: folder.path, key: root.key }), /is no file|EISDIR/],
    [
      'a chain that ends in another root',
      () => ({ ...made(intermediate), bundle: folder.root('stranger').certificate }),
      /does not verify against the bundle/,
    ],
    ['no bundle above an intermediate', () => made(intermediate), /did not sign itself/],
    [
      'no bundle and several certificates',
      () => ({ cert: write('two.pem', read(intermediate.certificate), read(root.certificate)), key: intermediate.key }),
      /it holds 2 certificates/,
    ],
    [
      'a bundle with what is no CA',
      () => ({
        ...made(intermediate),
        bundle: write('mixed.pem', read(root.certificate), read(folder.root('end', { extensions: leaf }).certificate)),
      }),
      /bundle_file_path: certificate 2 is no CA/,
    ],
    [
      'an empty bundle',
      () => ({ ...made(intermediate), bundle: write('empty.pem', '# nothing\n') }),
      /holds no PEM block "CERTIFICATE"/,
    ],
  ];

  test.each(rows)('%s', async (_what, files, message) => {
    const { cert: cert_file_path, key: key_file_path, bundle: bundle_file_path } = await files();
    const refusal = await AuthorityFiles.open({ cert_file_path, key_file_path, bundle_file_path }, 'example.org').then(
      () => 'nothing was refused',
      (error: unknown) => String(error),
    );
    expect(refusal).toMatch(message);
    expect(refusal).not.toMatch(/PRIVATE KEY-----\n/);
  });
});

const made = ({ certificate, key }: MadeCa): Files => ({ cert: certificate, key });

async function expired(): Promise<Files> {
  const { key } = folder.root('expired');
  const certificate = await issueCaCertificate({
    issuer: 'self',
    signer: signerOfKeyObject(createPrivateKey(read(key))),
    trustDomain: 'example.org',
    serialNumber: Buffer.alloc(16, 1),
    notBefore: new Date('2020-01-01T00:00:00Z'),
    notAfter: new Date('2020-02-01T00:00:00Z'),
  });
  return { cert: write('expired.pem', encodePem('CERTIFICATE', certificate)), key };
}

function encrypted(): Files {
  folder.run('pkcs8', '-topk8', '-in', root.key, '-out', 'encrypted.key', '-passout', 'pass:secret');
  return { cert: root.certificate, key: `${folder.path}/encrypted.key` };
}

test('a key that only the host may read is read all the same', async () => {
  chmodSync(root.key, 0o600);
  await using catalog = await load({ cert: root.certificate, key: root.key });
  await using minted = await mint(catalog);
  expect(minted.first.certificates).toHaveLength(1);
});

test('a refusal says which plugin refuses, and why', async () => {
  await expect(load({ cert: root.certificate, key: intermediate.key })).rejects.toThrow(
    /failed to configure plugin "disk": the key in ".*intermediate.key" is not the key of the first certificate in ".*root.pem"/,
  );
});
