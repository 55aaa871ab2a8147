import { afterAll, describe, expect, test } from 'vitest';
import { emptyBundle } from '../../src/spiffe/bundle.ts';
import { parseTrustDomain } from '../../src/spiffe/trust-domain.ts';
import { spiffeIdOfCertificate, validateX509Svid } from '../../src/spiffe/x509-svid.ts';
import { parseCertificate } from '../../src/x509/certificate.ts';
import { CA_EXTENSIONS, type Extensions, LEAF_EXTENSIONS, OpenSslCa } from './openssl-ca.ts';

const ca = new OpenSslCa();
afterAll(() => ca[Symbol.dispose]());

const now = new Date(Date.now() + 60_000);
const DAY_MS = 86_400_000;
const root = ca.root('root');
const bundleOf = (trustDomain: string, ...certificates: readonly Uint8Array[]) => ({
  ...emptyBundle(parseTrustDomain(trustDomain)),
  x509Authorities: certificates.map((certificate) => ({ certificate, tainted: false })),
});
const bundle = bundleOf('example.org', root);
const good = ca.issue('leaf', 'root');

/** The extensions with the line of one name replaced, or taken away. */
const changed = (extensions: Extensions, name: string, line?: string): Extensions => [
  ...extensions.filter((existing) => !existing.startsWith(name)),
  ...(line === undefined ? [] : [line]),
];
const withLeaf = (name: string, line?: string) => changed(LEAF_EXTENSIONS, name, line);
const withCa = (name: string, line?: string) => changed(CA_EXTENSIONS, name, line);

describe('leaf', () => {
  const accepted: readonly [rule: string, section: string, extensions: Extensions][] = [
    ['a URI name and DNS names', '§2', LEAF_EXTENSIONS],
    ['no extended key usage', '§4.4', withLeaf('extendedKeyUsage')],
    ['more purposes', '§4.4', withLeaf('extendedKeyUsage', 'extendedKeyUsage = serverAuth, clientAuth, codeSigning')],
    [
      'a critical extended key usage',
      '§4.4',
      withLeaf('extendedKeyUsage', 'extendedKeyUsage = critical, serverAuth, clientAuth'),
    ],
    ['no basic constraints', '§4.1', withLeaf('basicConstraints')],
    ['digitalSignature alone', '§4.3', withLeaf('keyUsage', 'keyUsage = critical, digitalSignature')],
  ];
  test.each(accepted)('with %s is accepted (X509-SVID %s)', (rule, _section, extensions) => {
    const leaf = ca.issue(`good ${rule}`, 'root', extensions);
    const identity = validateX509Svid([leaf], bundle, now);
    expect(identity.spiffeId).toBe('spiffe://example.org/web');
    expect(identity.leaf.der).toEqual(leaf);
    expect(identity.chain.map(({ der }) => der)).toEqual([leaf, root]);
  });

  const rejected: readonly [rule: string, section: string, extensions: Extensions, message: RegExp][] = [
    ['no URI name', '§2', withLeaf('subjectAltName', 'subjectAltName = DNS:web'), /no URI name/],
    ['no SAN', '§2', withLeaf('subjectAltName'), /no URI name/],
    [
      'two SPIFFE IDs',
      '§2',
      withLeaf('subjectAltName', 'subjectAltName = URI:spiffe://example.org/a, URI:spiffe://example.org/b'),
      /2 URI names/,
    ],
    [
      'a second URI that is no SPIFFE ID',
      '§2',
      withLeaf('subjectAltName', 'subjectAltName = URI:spiffe://example.org/a, URI:https://example.org'),
      /2 URI names/,
    ],
    [
      'another scheme',
      '§5.2',
      withLeaf('subjectAltName', 'subjectAltName = URI:https://example.org/web'),
      /no SPIFFE ID/,
    ],
    [
      'a malformed SPIFFE ID',
      '§2',
      withLeaf('subjectAltName', 'subjectAltName = URI:spiffe://example.org/web/'),
      /no SPIFFE ID/,
    ],
    [
      'an ID without path',
      '§3.1',
      withLeaf('subjectAltName', 'subjectAltName = URI:spiffe://example.org'),
      /has no path/,
    ],
    ['cA true', '§4.1', withLeaf('basicConstraints', 'basicConstraints = critical, CA:TRUE'), /CA certificate/],
    ['no key usage', '§4.3', withLeaf('keyUsage'), /no key usage/],
    ['a key usage that is not critical', '§4.3', withLeaf('keyUsage', 'keyUsage = digitalSignature'), /not critical/],
    [
      'no digitalSignature',
      '§4.3',
      withLeaf('keyUsage', 'keyUsage = critical, keyAgreement'),
      /without digitalSignature/,
    ],
    ['keyCertSign', '§4.3', withLeaf('keyUsage', 'keyUsage = critical, digitalSignature, keyCertSign'), /may sign/],
    ['cRLSign', '§4.3', withLeaf('keyUsage', 'keyUsage = critical, digitalSignature, cRLSign'), /may sign/],
    [
      'serverAuth alone',
      '§4.4',
      withLeaf('extendedKeyUsage', 'extendedKeyUsage = serverAuth'),
      /without serverAuth and clientAuth/,
    ],
    [
      'clientAuth alone',
      '§4.4',
      withLeaf('extendedKeyUsage', 'extendedKeyUsage = clientAuth'),
      /without serverAuth and clientAuth/,
    ],
  ];
  test.each(rejected)('with %s is refused (X509-SVID %s)', (rule, _section, extensions, message) => {
    const leaf = ca.issue(`bad ${rule}`, 'root', extensions);
    expect(() => validateX509Svid([leaf], bundle, now)).toThrow(
      expect.objectContaining({ code: 'SVID_INVALID', message: expect.stringMatching(message) }),
    );
  });
});

describe('path (X509-SVID §5.1)', () => {
  const untrusted = expect.objectContaining({ code: 'CERTIFICATE_UNTRUSTED' });

  test('through an intermediate, in any order, with one that does not belong', () => {
    const intermediate = ca.issue('intermediate', 'root', CA_EXTENSIONS);
    const lower = ca.issue('lower', 'intermediate', CA_EXTENSIONS);
    const leaf = ca.issue('deep', 'lower');
    const { chain } = validateX509Svid([leaf, intermediate, good, lower], bundle, now);
    expect(chain.map(({ der }) => der)).toEqual([leaf, lower, intermediate, root]);
    expect(() => validateX509Svid([leaf, intermediate], bundle, now)).toThrow(untrusted);
  });

  test('to the right one of several authorities', () => {
    const other = ca.root('other');
    expect(validateX509Svid([good], bundleOf('example.org', other, root), now).chain).toHaveLength(2);
  });

  const refusedPaths: readonly [rule: string, validate: () => unknown][] = [
    ['the bundle of another trust domain', () => validateX509Svid([good], bundleOf('other.org', root), now)],
    ['an empty bundle', () => validateX509Svid([good], bundleOf('example.org'), now)],
    ['another authority', () => validateX509Svid([good], bundleOf('example.org', ca.root('stranger')), now)],
    [
      'an authority of the same name',
      () => {
        using twin = new OpenSslCa();
        return validateX509Svid([good], bundleOf('example.org', twin.root('root')), now);
      },
    ],
    ['a leaf that expired', () => validateX509Svid([good], bundle, new Date(Date.now() + 31 * DAY_MS))],
    ['a leaf that is not valid yet', () => validateX509Svid([good], bundle, new Date(Date.now() - DAY_MS))],
    [
      'a root that the peer brings along',
      () => {
        const own = ca.root('own');
        return validateX509Svid([ca.issue('self-made', 'own'), own], bundle, now);
      },
    ],
    ['a leaf that signed a leaf', () => validateX509Svid([ca.issue('below a leaf', 'leaf'), good], bundle, now)],
  ];
  test.each(refusedPaths)('not with %s', (_rule, validate) => {
    expect(validate).toThrow(untrusted);
  });

  test.each<[rule: string, section: string, extensions: Extensions]>([
    ['with an ID without path', '§3.2', CA_EXTENSIONS],
    [
      'with an ID that ends in a slash',
      'example of the bundle standard',
      withCa('subjectAltName', 'subjectAltName = URI:spiffe://example.org/'),
    ],
    ['without an ID', '§3.2', withCa('subjectAltName')],
    [
      'with an ID of another trust domain',
      '§3.2',
      withCa('subjectAltName', 'subjectAltName = URI:spiffe://upstream.org'),
    ],
    [
      'with a URI that is no SPIFFE ID',
      '§3.2',
      withCa('subjectAltName', 'subjectAltName = URI:https://ca.example.org/x'),
    ],
  ])('through a signing certificate %s (%s)', (rule, _section, extensions) => {
    const signing = ca.issue(`signing ${rule}`, 'root', extensions);
    const leaf = ca.issue(`leaf below ${rule}`, `signing ${rule}`);
    expect(validateX509Svid([leaf, signing], bundle, now).chain).toHaveLength(3);
  });

  test.each<[rule: string, section: string, extensions: Extensions, message: RegExp]>([
    [
      'with an ID that has a path',
      '§3.2',
      withCa('subjectAltName', 'subjectAltName = URI:spiffe://example.org/ca'),
      /has a path/,
    ],
    [
      'with two IDs',
      '§2',
      withCa('subjectAltName', 'subjectAltName = URI:spiffe://example.org, URI:spiffe://other.org'),
      /2 URI names/,
    ],
  ])('not through a signing certificate %s (%s)', (rule, _section, extensions, message) => {
    const signing = ca.issue(`signing ${rule}`, 'root', extensions);
    const leaf = ca.issue(`leaf below ${rule}`, `signing ${rule}`);
    expect(() => validateX509Svid([leaf, signing], bundle, now)).toThrow(
      expect.objectContaining({ code: 'SVID_INVALID', message: expect.stringMatching(message) }),
    );
  });

  test('a chain without a leaf and one of 17 certificates are refused', () => {
    const invalid = expect.objectContaining({ code: 'SVID_INVALID' });
    expect(() => validateX509Svid([], bundle, now)).toThrow(invalid);
    expect(() =>
      validateX509Svid(
        Array.from({ length: 17 }, () => good),
        bundle,
        now,
      ),
    ).toThrow(invalid);
  });

  test('what is no certificate is refused', () => {
    expect(() => validateX509Svid([good.subarray(0, -1)], bundle, now)).toThrow(
      expect.objectContaining({ code: 'CERTIFICATE_INVALID' }),
    );
  });
});

test('the SPIFFE ID of a certificate is read without validating it', () => {
  expect(spiffeIdOfCertificate(parseCertificate(root))).toBe('spiffe://example.org');
});
