import { createPrivateKey, X509Certificate } from 'node:crypto';
import { expect, test } from 'vitest';
import { chooseByHint, x509Files } from '../../src/helper/x509-files.ts';
import { parseWorkloadSvids, type X509SvidAnswer } from '../../src/spiffe/workload-svid.ts';
import { TestAuthority } from '../../src/testing/test-authority.ts';

const NAMED = {
  svid: { name: 'svid.pem', mode: 0o644 },
  key: { name: 'key.pem', mode: 0o600 },
  bundle: { name: 'bundle.pem', mode: 0o644 },
  intermediatesInBundle: false,
  withFederated: false,
  omitExpired: false,
};

const root = await TestAuthority.create();
const other = await TestAuthority.create('other.org', 'Other');
const below = await root.createIntermediate();

async function answer(hints: readonly string[] = [''], swapKeys = false): Promise<X509SvidAnswer> {
  const issued = await Promise.all(
    hints.map((hint) => below.issue({ spiffeId: `spiffe://example.org/${hint || 'a'}` })),
  );
  const svids = issued.map(({ certificates }, index) => {
    const { privateKey } = (swapKeys ? issued.at(index - 1) : issued[index]) ?? { privateKey: undefined };
    if (privateKey === undefined) throw new Error('nothing was issued');
    return {
      spiffeId: `spiffe://example.org/${hints[index] || 'a'}`,
      x509Svid: Buffer.concat(certificates),
      x509SvidKey: privateKey.export({ type: 'pkcs8', format: 'der' }),
      bundle: root.certificate.der,
      hint: hints[index] ?? '',
    };
  });
  return { svids, federatedBundles: { 'spiffe://other.org': other.certificate.der } };
}

async function written(changes: Partial<typeof NAMED> = {}, now = new Date()) {
  const [svid] = parseWorkloadSvids(await answer());
  if (svid === undefined) throw new Error('there is no SVID');
  const files = x509Files(svid, { ...NAMED, ...changes }, now);
  const content = (name: string) => files.find((file) => file.name === name)?.content ?? '';
  return { names: files.map(({ name }) => name), content };
}

const subjectsIn = (pem: string) =>
  [...pem.matchAll(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g)].map(
    ([certificate]) => /O=(.*)/.exec(new X509Certificate(certificate).subject)?.[1],
  );

test('the certificate comes last, with its intermediates, and its key fits', async () => {
  const { names, content } = await written();
  expect(names).toEqual(['bundle.pem', 'key.pem', 'svid.pem']);
  expect(subjectsIn(content('svid.pem'))).toHaveLength(2);
  expect(subjectsIn(content('bundle.pem'))).toEqual(['Root']);
  expect(new X509Certificate(content('svid.pem')).checkPrivateKey(createPrivateKey(content('key.pem')))).toBe(true);
});

test.each([
  ['intermediates in the bundle', { intermediatesInBundle: true }, 1, ['Root', 'Intermediate']],
  ['federated trust domains', { withFederated: true }, 2, ['Root', 'Other']],
  ['both', { withFederated: true, intermediatesInBundle: true }, 1, ['Root', 'Other', 'Intermediate']],
])('%s', async (_what, changes, certificates, authorities) => {
  const { content } = await written(changes);
  expect(subjectsIn(content('svid.pem'))).toHaveLength(certificates);
  expect(subjectsIn(content('bundle.pem'))).toEqual(authorities);
});

test('authorities that have expired are left out only where that is wanted', async () => {
  const later = new Date(root.certificate.notAfter.getTime() + 1000);
  expect(subjectsIn((await written({ omitExpired: true }, later)).content('bundle.pem'))).toEqual([]);
  expect(subjectsIn((await written({}, later)).content('bundle.pem'))).toEqual(['Root']);
});

test('one name is one file, with the mode of the key', async () => {
  const [svid] = parseWorkloadSvids(await answer());
  const files = svid && x509Files(svid, { ...NAMED, key: { name: 'svid.pem', mode: 0o600 } }, new Date());
  expect(files?.map(({ name, mode }) => [name, mode])).toEqual([
    ['bundle.pem', 0o644],
    ['svid.pem', 0o600],
  ]);
});

test('an identity is chosen by its hint; one that is not there is told with those that are', async () => {
  const svids = parseWorkloadSvids(await answer(['web', 'db']));
  expect(chooseByHint(svids, '').spiffeId).toBe('spiffe://example.org/web');
  expect(chooseByHint(svids, 'db').spiffeId).toBe('spiffe://example.org/db');
  expect(() => chooseByHint(svids, 'x')).toThrow('no identity has the hint "x": spiffe://example.org/web has "web"');
});

test('an SVID with the key of another is refused', async () => {
  const swapped = await answer(['web', 'db'], true);
  expect(() => parseWorkloadSvids(swapped)).toThrow('comes with a key that is not its own');
});
