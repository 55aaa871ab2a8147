import { expect, test } from 'vitest';
import { type FoundSecrets, findSecrets } from '../../src/agent/secret-discovery/find-secrets.ts';
import type { AuthorizedEntry } from '../../src/agent/server-api/authorized-entry.ts';
import type { WorkloadView } from '../../src/agent/workloads/workload-cache.ts';
import { Secret } from '../../src/gen/envoy/extensions/transport_sockets/tls/v3/secret.ts';
import { type Bundle, emptyBundle } from '../../src/spiffe/bundle.ts';
import { parseTrustDomain } from '../../src/spiffe/trust-domain.ts';
import { entryAtAgent } from './entry-at-agent.ts';

const sds = {
  defaultSvidName: 'default',
  defaultBundleName: 'ROOTCA',
  defaultAllBundlesName: 'ALL',
  disableSpiffeCertValidation: false,
};
const FIRST = entry('/first');
const SECOND = entry('/second');
const OWN = bundle('example.org', 1);
const PARTNER = bundle('partner.org', 2);

const view = (more: Partial<WorkloadView> = {}): WorkloadView => ({
  entries: [FIRST, SECOND],
  identities: [identityOf(FIRST), identityOf(SECOND)],
  bundle: OWN,
  federatedBundles: [],
  ...more,
});

const find = (name: string, of: WorkloadView, spiffeValidator = true) =>
  findSecrets([name], of, { sds, spiffeValidator });

test('the default SVID is the first entry’s, and no other one while that is being signed', () => {
  expect(certificateIn(find('default', view()))).toContain(base64Of('/first'));
  const signing = view({ identities: [identityOf(SECOND)] });
  expect(find('default', signing)).toEqual({ secrets: [], awaited: ['default'], refused: [] });
  expect(certificateIn(find(SECOND.spiffeId, signing))).toContain(base64Of('/second'));
});

test('a bundle without authorities is never given: Envoy would verify nothing by it', () => {
  const without = view({ bundle: emptyBundle(parseTrustDomain('example.org')) });
  for (const spiffeValidator of [true, false]) {
    for (const name of ['ROOTCA', 'ALL', 'spiffe://example.org']) {
      const { secrets, refused } = find(name, without, spiffeValidator);
      expect(secrets).toEqual([]);
      expect(refused).toEqual([{ name, reason: 'its bundle has no X.509 authority yet' }]);
    }
  }
  const { secrets } = find('ALL', view({ federatedBundles: [PARTNER, emptyBundle(parseTrustDomain('empty.org'))] }));
  expect(secrets).toHaveLength(1);
});

test('bundles of several trust domains are not given together without the validator that tells them apart', () => {
  const federated = view({ federatedBundles: [PARTNER] });
  expect(find('ALL', federated, true).secrets).toHaveLength(1);
  const { secrets, refused } = find('ALL', federated, false);
  expect(secrets).toEqual([]);
  expect(refused).toEqual([{ name: 'ALL', reason: expect.stringMatching(/2 trust domains together need/) }]);
  expect(find('spiffe://partner.org', federated, false).secrets).toHaveLength(1);
  expect(find('ALL', view(), false).secrets).toHaveLength(1);
});

test('no name is every bundle and every SPIFFE ID, once', () => {
  const twice = { ...entry('/first'), id: 'another' };
  const all = view({ entries: [FIRST, twice, SECOND], federatedBundles: [PARTNER] });
  const { secrets } = findSecrets([], all, { sds, spiffeValidator: true });
  expect(secrets.map(({ value }) => Secret.decode(value).name)).toEqual([
    'spiffe://example.org',
    'spiffe://partner.org',
    FIRST.spiffeId,
    SECOND.spiffeId,
  ]);
});

function entry(path: string): AuthorizedEntry {
  return entryAtAgent(path, path);
}

/** Its certificate is nothing but the path: what is in it does not matter here. */
function identityOf(of: AuthorizedEntry): WorkloadView['identities'][number] {
  const svid = {
    entryId: of.id,
    revisionNumber: 0,
    createdAt: 0,
    spiffeId: of.spiffeId,
    chain: [Buffer.from(of.id)],
    privateKey: Buffer.from('key'),
    expiresAt: new Date(0),
    rotateAt: new Date(0),
  };
  return { entry: of, svid };
}

function bundle(trustDomain: string, byte: number): Bundle {
  const x509Authorities = [{ certificate: Uint8Array.of(byte), tainted: false }];
  return { ...emptyBundle(parseTrustDomain(trustDomain)), x509Authorities };
}

const base64Of = (text: string) => Buffer.from(text).toString('base64');

function certificateIn({ secrets: [first] }: FoundSecrets): string {
  const secret = Secret.decode(first?.value ?? new Uint8Array());
  const source = secret.type?.$case === 'tlsCertificate' ? secret.type.value.certificateChain?.specifier : undefined;
  return source?.$case === 'inlineBytes' ? Buffer.from(source.value).toString() : '';
}
