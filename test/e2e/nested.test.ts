import { chmodSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { LocalAuthorityDefinition } from '../../src/gen/spire/api/server/localauthority/v1/localauthority.ts';
import { formatBundlePem } from '../../src/spiffe/bundle-document.ts';
import { parseCertificate } from '../../src/x509/certificate.ts';
import { decodePem } from '../../src/x509/pem.ts';
import { AS_WORKLOAD, workloadApi } from '../agent/workload.ts';
import { AuthorityFolder, type MadeCa } from '../harness/authority-folder.ts';
import { authoritySteps } from '../harness/authority-steps.ts';
import { describeWithGo } from '../harness/requires.ts';
import { type Level, NestedServers } from './nested-servers.ts';
import { AUDIENCE, NestedVerifier, verified, WORKLOAD } from './nested-verifier.ts';

vi.setConfig({ testTimeout: 180_000, hookTimeout: 300_000 }); // three servers, three agents, and what takes turns

/** A change at the root takes 5 s a level at most, and a second to the agent there. */
const REACHES_LEAF = { timeout: 120_000, interval: 500 };

const read = (path: string) => readFileSync(path, 'utf8');
const rootsOf = ({ domain }: Level) => formatBundlePem(domain.server.running.bundle);
const keyIdsOf = ({ domain }: Level) =>
  domain.server.running.bundle.jwtAuthorities.map(({ keyId }) => keyId).toSorted();

async function startChain(verifier: NestedVerifier, upstream = ''): Promise<NestedServers> {
  const chain = await NestedServers.start(3, { upstream });
  await chain.level(2).domain.createEntry('/workload');
  await vi.waitUntil(() => verifier.hasSvid(chain.level(2)), REACHES_LEAF);
  return chain;
}

describeWithGo('a chain of three servers', () => {
  let verifier: NestedVerifier;
  beforeAll(async () => {
    verifier = await NestedVerifier.create();
  });
  afterAll(() => verifier?.[Symbol.dispose]());

  describe('below a CA on disk', () => {
    const resources = new AsyncDisposableStack();
    let inUse: MadeCa;
    let first: MadeCa;
    let second: MadeCa;
    let chain: NestedServers;

    beforeAll(async () => {
      const files = resources.use(new AuthorityFolder());
      chmodSync(files.path, 0o755);
      [first, second] = [files.root('first'), files.root('second')];
      inUse = { name: 'in-use', certificate: `${files.path}/in-use.pem`, key: `${files.path}/in-use.key` };
      replaceBy(first);
      const data = `cert_file_path = "${inUse.certificate}" key_file_path = "${inUse.key}"`;
      chain = resources.use(await startChain(verifier, `UpstreamAuthority "disk" { plugin_data { ${data} } }`));
    });
    afterAll(() => resources.disposeAsync());

    function replaceBy(ca: MadeCa): void {
      for (const part of ['certificate', 'key'] as const) {
        writeFileSync(`${inUse[part]}.new`, readFileSync(ca[part]));
        renameSync(`${inUse[part]}.new`, inUse[part]);
      }
    }

    test('an SVID of the leaf verifies by the CA on disk alone', async () => {
      expect(chain.levels.map(rootsOf)).toEqual(chain.levels.map(() => read(first.certificate)));
      // The SVID, and the CAs of leaf, middle and root.
      expect(await verifier.verifyX509(chain.level(2), read(first.certificate))).toEqual(verified(4));
    });

    test('a JWT-SVID of the leaf is valid by the bundle of the root, and to an agent of the root', async () => {
      const { token: svid, by } = await verifier.verifyJwt(chain.level(2), chain.level(0));
      expect(by).toBe(WORKLOAD);
      const api = workloadApi(chain.level(0).agent);
      const validate = () => api.validateJWTSVID({ audience: AUDIENCE, svid }, AS_WORKLOAD).catch(String);
      await expect.poll(validate, REACHES_LEAF).toMatchObject({ spiffeId: WORKLOAD });
    });

    test('every server knows the JWT keys of all', async () => {
      const [root = [], ...below] = chain.levels.map(keyIdsOf);
      expect(root).toHaveLength(3);
      await expect.poll(() => chain.levels.slice(1).map(keyIdsOf), REACHES_LEAF).toEqual(below.map(() => root));
    });

    test('another CA on disk: in every bundle at once; what hangs on the one before stays valid until that is tainted', async () => {
      const leaf = chain.level(2);
      replaceBy(second);
      const both = read(first.certificate) + read(second.certificate);
      await expect.poll(() => chain.levels.map(rootsOf), REACHES_LEAF).toEqual([both, both, both]);
      expect(await verifier.verifyX509(leaf, both)).toEqual(verified(4));

      const admin = chain.level(0).domain.server.admin(LocalAuthorityDefinition);
      const subjectKeyId = subjectKeyIdOf(first);
      await vi.waitUntil(async () => {
        const { active } = await admin.getX509AuthorityState({});
        return active?.upstreamAuthoritySubjectKeyId === subjectKeyIdOf(second);
      }, REACHES_LEAF);
      await admin.taintX509UpstreamAuthority({ subjectKeyId });
      const bySecond = () => verifier.verifyX509(leaf, read(second.certificate));
      await expect.poll(bySecond, REACHES_LEAF).toEqual(verified(4));

      await admin.revokeX509UpstreamAuthority({ subjectKeyId });
      const onlySecond = chain.levels.map(() => read(second.certificate));
      await expect.poll(() => chain.levels.map(rootsOf), REACHES_LEAF).toEqual(onlySecond);
      expect(await bySecond()).toEqual(verified(4));
    });
  });

  describe('whose root signs its own CA', () => {
    const resources = new AsyncDisposableStack();
    let chain: NestedServers;
    beforeAll(async () => {
      chain = resources.use(await startChain(verifier));
    });
    afterAll(() => resources.disposeAsync());

    test('another CA of the root, the former tainted and then revoked, all reach the leaf', async () => {
      const [root, leaf] = [chain.level(0), chain.level(2)];
      const steps = authoritySteps(root.domain.server, 'X509');
      const former = { id: await steps.active(), pem: rootsOf(root) };
      expect(await verifier.verifyX509(leaf, former.pem)).toEqual(verified(3));

      const next = await steps.prepare();
      const both = rootsOf(root);
      await expect.poll(() => chain.levels.map(rootsOf), REACHES_LEAF).toEqual([both, both, both]);
      await steps.activate(next);
      expect(await verifier.verifyX509(leaf, former.pem)).toEqual(verified(3));

      await steps.taint(former.id);
      const nextPem = both.replace(former.pem, '');
      const byNext = () => verifier.verifyX509(leaf, nextPem);
      await expect.poll(byNext, REACHES_LEAF).toEqual(verified(3));

      await steps.revoke(former.id);
      await expect.poll(() => chain.levels.map(rootsOf), REACHES_LEAF).toEqual([nextPem, nextPem, nextPem]);
      expect(await byNext()).toEqual(verified(3));
    });

    test('another JWT key of the root is known to the leaf', async () => {
      const [root, leaf] = [chain.level(0), chain.level(2)];
      const steps = authoritySteps(root.domain.server, 'JWT');
      await steps.activate(await steps.prepare());
      await expect.poll(() => keyIdsOf(leaf), REACHES_LEAF).toEqual(keyIdsOf(root));
      expect((await verifier.verifyJwt(leaf, root)).by).toBe(WORKLOAD);
    });
  });
});

function subjectKeyIdOf({ certificate }: MadeCa): string {
  const [der = new Uint8Array()] = decodePem(read(certificate), 'CERTIFICATE');
  return Buffer.from(parseCertificate(der).subjectKeyId ?? []).toString('hex');
}
