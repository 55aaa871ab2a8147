import { execFileSync } from 'node:child_process';
import { chmodSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import type { X509SVID } from '../../src/gen/workload/workload.ts';
import { formatBundleDocument, formatBundlePem } from '../../src/spiffe/bundle-document.ts';
import { DerReader, Tag } from '../../src/x509/der.ts';
import { encodePem } from '../../src/x509/pem.ts';
import { AS_WORKLOAD, fetchX509, workloadApi } from '../agent/workload.ts';
import { AuthorityFolder, type MadeCa } from '../harness/authority-folder.ts';
import { buildGo } from '../harness/go.ts';
import { describeWithGo } from '../harness/requires.ts';
import { type Level, NestedServers } from './nested-servers.ts';

vi.setConfig({ testTimeout: 180_000, hookTimeout: 300_000 }); // three servers, three agents, and what takes turns

const GO_MODULE = fileURLToPath(new URL('../interop/workload-api', import.meta.url));
const AUDIENCE = 'somebody';
/** A change at the root takes 5 s a level at most, and a second to the agent there. */
const REACHES_LEAF = { timeout: 90_000, interval: 500 };

describeWithGo('a chain of three servers below a CA on disk', () => {
  const resources = new AsyncDisposableStack();
  let files: AuthorityFolder;
  let inUse: MadeCa;
  let first: MadeCa;
  let second: MadeCa;
  let chain: NestedServers;
  let root: Level;
  let middle: Level;
  let leaf: Level;
  let verifier: string;

  beforeAll(async () => {
    verifier = await buildGo(GO_MODULE, 'verify');
    files = resources.use(new AuthorityFolder());
    chmodSync(files.path, 0o755);
    first = files.root('first');
    second = files.root('second');
    inUse = { name: 'in-use', certificate: `${files.path}/in-use.pem`, key: `${files.path}/in-use.key` };
    replaceBy(first);
    chain = resources.use(
      await NestedServers.start(3, {
        upstream: `UpstreamAuthority "disk" { plugin_data { cert_file_path = "${inUse.certificate}" key_file_path = "${inUse.key}" } }`,
      }),
    );
    [root, middle, leaf] = [chain.level(0), chain.level(1), chain.level(2)];
    await leaf.domain.createEntry('/workload');
    await vi.waitUntil(() => workloadSvid(leaf), REACHES_LEAF);
  });
  afterAll(() => resources.disposeAsync());

  function replaceBy(ca: MadeCa): void {
    for (const part of ['certificate', 'key'] as const) {
      writeFileSync(`${inUse[part]}.new`, readFileSync(ca[part]));
      renameSync(`${inUse[part]}.new`, inUse[part]);
    }
  }

  async function workloadSvid({ agent }: Level): Promise<X509SVID | undefined> {
    const { svids } = await fetchX509(agent).catch(() => ({ svids: [] }));
    return svids.find(({ spiffeId }) => spiffeId === 'spiffe://example.org/workload');
  }

  function split(ders: Uint8Array | undefined): readonly Uint8Array[] {
    const reader = new DerReader(ders ?? new Uint8Array());
    const certificates: Uint8Array[] = [];
    while (!reader.isAtEnd) certificates.push(reader.readRaw(Tag.sequence, 'a certificate'));
    return certificates;
  }

  const pem = (ders: readonly Uint8Array[]) => ders.map((der) => encodePem('CERTIFICATE', der)).join('');

  /** By openssl and go-spiffe, against roots that no part of ours wrote. */
  async function verify(roots: string): Promise<{ readonly length: number; readonly by: readonly string[] }> {
    const certificates = split((await workloadSvid(leaf))?.x509Svid);
    const [svid = new Uint8Array(), ...above] = certificates;
    const [svidFile, aboveFile] = [files.write('svid.pem', pem([svid])), files.write('above.pem', pem(above))];
    const byOpenSsl = attempt(() =>
      files.run('verify', '-x509_strict', '-CAfile', roots, '-untrusted', aboveFile, svidFile).replace(svidFile, ''),
    );
    const byGo = attempt(() => go('x509', 'example.org', roots, files.write('chain.pem', pem(certificates))));
    return { length: certificates.length, by: [byOpenSsl, byGo] };
  }

  const verified = (length: number) => ({ length, by: [': OK', 'spiffe://example.org/workload'] });
  const go = (...args: readonly string[]) => execFileSync(verifier, args, { encoding: 'utf8' });

  function attempt(work: () => string): string {
    try {
      return work().trim();
    } catch (error) {
      return String(error);
    }
  }

  const rootsOf = ({ domain }: Level) => formatBundlePem(domain.server.running.bundle);
  const keyIdsOf = ({ domain }: Level) =>
    domain.server.running.bundle.jwtAuthorities.map(({ keyId }) => keyId).toSorted();

  test('an SVID of the leaf verifies by the CA on disk alone', async () => {
    expect(await verify(first.certificate)).toEqual(verified(4)); // the SVID, and the CAs of leaf, middle and root
    for (const level of chain.levels) expect(rootsOf(level)).toBe(readFileSync(first.certificate, 'utf8'));
  });

  test('a JWT-SVID of the leaf is valid by the bundle of the root, and to an agent of the root', async () => {
    const { svids } = await workloadApi(leaf.agent).fetchJWTSVID({ audience: [AUDIENCE], spiffeId: '' }, AS_WORKLOAD);
    const svid = svids[0]?.svid ?? '';
    const bundle = files.write('root.json', formatBundleDocument(root.domain.server.running.bundle));
    expect(go('jwt', 'example.org', bundle, AUDIENCE, files.write('token', svid)).trim()).toBe(
      'spiffe://example.org/workload',
    );
    await expect
      .poll(
        () => workloadApi(root.agent).validateJWTSVID({ audience: AUDIENCE, svid }, AS_WORKLOAD).catch(String),
        REACHES_LEAF,
      )
      .toMatchObject({ spiffeId: 'spiffe://example.org/workload' });
  });

  test('every server knows the JWT keys of all', async () => {
    expect(keyIdsOf(root)).toHaveLength(3);
    await expect.poll(() => [keyIdsOf(middle), keyIdsOf(leaf)], REACHES_LEAF).toEqual([keyIdsOf(root), keyIdsOf(root)]);
  });

  test('another CA on disk is in every bundle, and what hangs on the one before stays valid', async () => {
    replaceBy(second);
    const both = `${readFileSync(first.certificate, 'utf8')}${readFileSync(second.certificate, 'utf8')}`;
    await expect.poll(() => chain.levels.map(rootsOf), REACHES_LEAF).toEqual([both, both, both]);
    expect(await verify(files.write('both.pem', both))).toEqual(verified(4));
  });
});
