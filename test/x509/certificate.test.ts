import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parseCertificate } from '../../src/x509/certificate.ts';
import { critical, optional } from '../../src/x509/certificate-template.ts';
import {
  bitString,
  boolean,
  constructedContext,
  derNull,
  explicit,
  octetString,
  oid,
  primitiveContext,
  sequence,
  Tag,
  tlv,
} from '../../src/x509/der.ts';
import { encodeTime } from '../../src/x509/der-time.ts';
import { encodeName, formatName } from '../../src/x509/name.ts';
import { OID } from '../../src/x509/oids.ts';
import { signatureAlgorithmDer } from '../../src/x509/signature-algorithm.ts';
import { ecSigner, makeCertificate } from './made-certificate.ts';
import { OpenSslFolder } from './openssl.ts';

const vector = (name: string) => readFileSync(new URL(`../vectors/x509/${name}`, import.meta.url));

describe('certificates that others made', () => {
  test.each([
    ['ek-rsa2048.nv.der', '2.23.133.8.1', 'keyEncipherment'],
    ['ek-ecc384.nv.der', '2.23.133.8.1', 'keyAgreement'],
    ['platform-cert.nv.der', '2.23.133.8.2', 'keyEncipherment'],
  ] as const)('%s', (name, purpose, usage) => {
    const der = vector(name);
    const certificate = parseCertificate(der);
    const reference = new X509Certificate(der);
    expect(certificate.extendedKeyUsage).toEqual([purpose]);
    expect(Object.entries(certificate.keyUsage ?? {}).filter(([, isSet]) => isSet)).toEqual([[usage, true]]);
    expect(certificate.notAfter.toISOString()).toBe('9999-12-31T23:59:59.000Z');
    expect(certificate.notBefore).toEqual(reference.validFromDate);
    expect(BigInt(`0x${Buffer.from(certificate.serialNumber).toString('hex')}`)).toBe(
      BigInt(`0x${reference.serialNumber}`),
    );
    expect(certificate.isCa).toBe(false);
    expect(formatName(certificate.issuer)).toBe('CN=swtpm-localca');
    expect(certificate.subjectAltNames.map(({ tag }) => tag)).toEqual([0xa4]);
    expect(certificate.extensions.get(OID.subjectAltName)?.isCritical).toBe(true);
  });

  test.each([
    ['ec', 'ec_paramgen_curve:P-384', [], 'ecdsa'],
    ['rsa', 'rsa_keygen_bits:2048', ['-sigopt', 'rsa_padding_mode:pss', '-sigopt', 'rsa_pss_saltlen:32'], 'rsaPss'],
    ['ed25519', undefined, [], 'ed25519'],
  ] as const)('openssl, %s %s', (algorithm, parameter, signing, scheme) => {
    using folder = new OpenSslFolder();
    const key = ['-newkey', algorithm, ...(parameter ? ['-pkeyopt', parameter] : []), '-nodes', '-keyout', 'key.pem'];
    const extensions = ['-addext', 'subjectAltName=URI:spiffe://example.org/a,DNS:a.example,IP:127.0.0.1'];
    const form = ['-outform', 'DER', '-out', 'c.der', '-subj', '/O=x', '-sha256'];
    folder.run('req', '-x509', ...key, ...form, ...extensions, ...signing, '-days', '2');
    const certificate = parseCertificate(readFileSync(`${folder.path}/c.der`));
    expect(certificate.signatureAlgorithm.scheme).toBe(scheme);
    expect(certificate.uriNames).toEqual(['spiffe://example.org/a']);
    expect(certificate.dnsNames).toEqual(['a.example']);
    expect(certificate.subjectAltNames).toHaveLength(3);
    expect(certificate.isCa).toBe(true);
    expect(certificate.subjectKeyId).toEqual(certificate.authorityKeyId);
  });
});

test('is a copy: what happens to the input later does not matter', async () => {
  const input = Buffer.from((await makeCertificate({ subject: 'x' })).certificate.der);
  const certificate = parseCertificate(input);
  input.fill(0);
  expect(certificate.tbs[0]).toBe(0x30);
});

const spki = ecSigner().publicKey;
const ecdsa = signatureAlgorithmDer('ec-p256');
const name = encodeName({ organization: 'x' });
const validity = sequence(encodeTime(new Date('2026-01-01')), encodeTime(new Date('2027-01-01')));

/** A certificate in parts, any of which a row replaces. The signature is nothing: parsing does not look at it. */
function assemble(parts: {
  version?: readonly Uint8Array[];
  serial?: Uint8Array;
  inner?: Uint8Array;
  outer?: Uint8Array;
  issuer?: Uint8Array;
  validity?: Uint8Array;
  spki?: Uint8Array;
  tail?: readonly Uint8Array[];
  signature?: Uint8Array;
  more?: readonly Uint8Array[];
}): Uint8Array {
  const tbs = sequence(
    ...(parts.version ?? [explicit(0, Uint8Array.of(2, 1, 2))]),
    parts.serial ?? Uint8Array.of(2, 1, 7),
    parts.inner ?? ecdsa,
    parts.issuer ?? name,
    parts.validity ?? validity,
    name,
    parts.spki ?? spki,
    ...(parts.tail ?? []),
  );
  return sequence(tbs, parts.outer ?? ecdsa, parts.signature ?? bitString(Uint8Array.of(0)), ...(parts.more ?? []));
}
const withExtensions = (...extensions: readonly Uint8Array[]) => ({ tail: [explicit(3, sequence(...extensions))] });
const basicConstraints = (...content: readonly Uint8Array[]) =>
  withExtensions(critical(oid(OID.basicConstraints), sequence(...content)));
const altName = (...names: readonly Uint8Array[]) =>
  withExtensions(optional(oid(OID.subjectAltName), sequence(...names)));
const zero = Uint8Array.of(2, 1, 0);
const keyUsage = (...octets: readonly number[]) =>
  withExtensions(critical(oid(OID.keyUsage), tlv(Tag.bitString, Uint8Array.from(octets))));

test.each([
  ['the plain case', '§4.1', {}],
  ['version 1 without extensions', '§4.1.2.1', { version: [] }],
  ['a negative serial number', '§4.1.2.2', { serial: Uint8Array.of(2, 1, 0x80) }],
  ['serial number 0', '§4.1.2.2', { serial: zero }],
  [
    '20 octets of serial number and a sign octet',
    '§4.1.2.2',
    { serial: tlv(2, Uint8Array.of(0), new Uint8Array(20).fill(0xff)) },
  ],
  ['unique identifiers', '§4.1.2.8', { tail: [tlv(0x81, Uint8Array.of(0, 1)), tlv(0x82, Uint8Array.of(0, 1))] }],
  ['an encoded cA FALSE', '§4.2.1.9', basicConstraints(boolean(false))],
  ['an encoded critical FALSE', '§4.2', withExtensions(sequence(oid('1.2.3'), boolean(false), octetString()))],
  ['a signature algorithm unknown here', '§4.1.1.2', { inner: sequence(oid('1.2.3')), outer: sequence(oid('1.2.3')) }],
])('accepts %s (RFC 5280 %s)', (_rule, _section, parts) => {
  expect(parseCertificate(assemble(parts)).der).toEqual(assemble(parts));
});

test.each([
  ['a tail', 'X.690 §8.1', Buffer.concat([assemble({}), Buffer.from([0])]), /1 octets follow/],
  ['a second certificate behind', 'tpm-verification A1', Buffer.concat([assemble({}), assemble({})]), /octets follow/],
  ['a fourth part', '§4.1', assemble({ more: [derNull()] }), /follow the end of the content of Certificate/],
  ['nothing', '§4.1', new Uint8Array(), /DER ends/],
  ['more than 64 KiB', 'cap', new Uint8Array(65537), /more than 65536/],
  ['version 1 written out', '§4.1.2.1', assemble({ version: [explicit(0, zero)] }), /the version is 0/],
  ['version 4', '§4.1.2.1', assemble({ version: [explicit(0, Uint8Array.of(2, 1, 3))] }), /the version is 3/],
  ['a serial number of 22 octets', '§4.1.2.2', assemble({ serial: tlv(2, new Uint8Array(22).fill(1)) }), /20 octets/],
  ['a serial number that is not minimal', 'X.690 §8.3.2', assemble({ serial: Uint8Array.of(2, 2, 0, 1) }), /minimal/],
  ['two signature algorithms', '§4.1.1.2', assemble({ inner: signatureAlgorithmDer('ec-p384') }), /differs/],
  [
    'ECDSA with parameters',
    'RFC 5758 §3.2',
    assemble({
      inner: sequence(oid(OID.ecdsaWithSha256), derNull()),
      outer: sequence(oid(OID.ecdsaWithSha256), derNull()),
    }),
    /follow the end of a signature algorithm/,
  ],
  [
    'RSA with parameters other than NULL',
    'RFC 4055 §5',
    assemble({ outer: sequence(oid(OID.sha256WithRsaEncryption), sequence()) }),
    /parameters of the signature algorithm/,
  ],
  [
    'RSASSA-PSS with SHA-1 by default',
    'RFC 4055 §3.1',
    assemble({ outer: sequence(oid(OID.rsassaPss), sequence()) }),
    /RSASSA-PSS hash/,
  ],
  ['a signature of bits', '§4.1.1.3', assemble({ signature: Uint8Array.of(3, 2, 1, 0x80) }), /whole number of octets/],
  ['an issuer that is no name', '§4.1.2.4', assemble({ issuer: sequence(sequence()) }), /relative distinguished name/],
  [
    'a validity of three dates',
    '§4.1.2.5',
    assemble({ validity: sequence(...Array(3).fill(encodeTime(new Date('2026-01-01')))) }),
    /follow the end of the validity/,
  ],
  [
    'a key that is not a whole number of octets',
    '§4.1.2.7',
    assemble({ spki: sequence(sequence(oid('1.2.3')), Uint8Array.of(3, 2, 1, 0x80)) }),
    /whole number/,
  ],
  [
    'extensions in version 1',
    '§4.1.2.9',
    assemble({ version: [], ...withExtensions(optional(oid('1.2.3'), sequence())) }),
    /version 1 certificate has extensions/,
  ],
  [
    'unique identifiers in version 1',
    '§4.1.2.8',
    assemble({ version: [], tail: [tlv(0x81, Uint8Array.of(0, 1))] }),
    /unique identifier/,
  ],
  ['no extension in the list', '§4.1.2.9', assemble(withExtensions()), /empty/],
  [
    'an extension twice',
    '§4.2',
    assemble(withExtensions(optional(oid('1.2.3'), derNull()), critical(oid('1.2.3'), derNull()))),
    /1\.2\.3 occurs twice/,
  ],
  [
    '65 extensions',
    'cap',
    assemble(withExtensions(...Array.from({ length: 65 }, (_, i) => optional(oid(`1.2.${i}`), derNull())))),
    /more than 64/,
  ],
  [
    'something after the extensions',
    '§4.1',
    assemble({ tail: [...withExtensions(optional(oid('1.2.3'), derNull())).tail, derNull()] }),
    /follow the end of TBSCertificate/,
  ],
  ['a path length without cA', '§4.2.1.9', assemble(basicConstraints(zero)), /without cA/],
  [
    'a negative path length',
    '§4.2.1.9',
    assemble(basicConstraints(boolean(true), Uint8Array.of(2, 1, 0xff))),
    /negative/,
  ],
  ['a key usage of nothing', '§4.2.1.3', assemble(keyUsage(0)), /allows nothing/],
  ['a key usage of 3 octets', '§4.2.1.3', assemble(keyUsage(0, 1, 1, 1)), /3 octets/],
  [
    'no purpose in the list',
    '§4.2.1.12',
    assemble(withExtensions(optional(oid(OID.extKeyUsage), sequence()))),
    /purpose/,
  ],
  ['no name in the SAN', '§4.2.1.6', assemble(altName()), /DER ends/],
  ['a name of no kind', '§4.2.1.6', assemble(altName(tlv(0x89, Uint8Array.of(1)))), /no GeneralName/],
  ['an empty DNS name', '§4.2.1.6', assemble(altName(tlv(0x82))), /is empty/],
  ['a NUL in a DNS name', '§4.2.1.6', assemble(altName(tlv(0x82, Buffer.from('a\0b')))), /outside ASCII/],
  ['a URI outside ASCII', '§4.2.1.6', assemble(altName(tlv(0x86, Buffer.from('spiffe://é')))), /outside ASCII/],
  [
    'a key identifier that is no string',
    '§4.2.1.2',
    assemble(withExtensions(optional(oid(OID.subjectKeyIdentifier), derNull()))),
    /subjectKeyIdentifier/,
  ],
  [
    'an authority key identifier with a tail',
    '§4.2.1.1',
    assemble(
      withExtensions(
        optional(oid(OID.authorityKeyIdentifier), sequence(tlv(primitiveContext(0)), tlv(constructedContext(5)))),
      ),
    ),
    /authorityKeyIdentifier/,
  ],
])('rejects %s (RFC 5280 %s)', (_rule, _section, der, message) => {
  expect(() => parseCertificate(der)).toThrow(
    expect.objectContaining({ code: 'CERTIFICATE_INVALID', message: expect.stringMatching(message) }),
  );
});

test('every bit of a key usage has its name (§4.2.1.3)', () => {
  const names = [
    'digitalSignature',
    'contentCommitment',
    'keyEncipherment',
    'dataEncipherment',
    'keyAgreement',
    'keyCertSign',
    'crlSign',
    'encipherOnly',
    'decipherOnly',
  ];
  for (const [bit, expected] of names.entries()) {
    const bits = 0x8000 >>> bit;
    const certificate = parseCertificate(assemble(keyUsage(0, bits >>> 8, bits & 0xff)));
    expect(Object.entries(certificate.keyUsage ?? {}).flatMap(([key, isSet]) => (isSet ? [key] : []))).toEqual([
      expected,
    ]);
  }
});
