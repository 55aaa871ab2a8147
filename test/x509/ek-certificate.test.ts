import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import {
  type AuthorityOptions,
  EkAuthority,
  type EkCertificateOptions,
  TPM_NAMES,
} from '../../src/testing/ek-authority.ts';
import { SoftwareTpm } from '../../src/testing/software-tpm.ts';
import { requireEndorsementKey } from '../../src/tpm/endorsement-key.ts';
import type { Certificate } from '../../src/x509/certificate.ts';
import { parseCertificate } from '../../src/x509/certificate.ts';
import { type CertificateRevocationList, parseCrl } from '../../src/x509/crl.ts';
import { bitString, oid, sequence } from '../../src/x509/der.ts';
import {
  type EkCertificateFacts,
  type EkTrust,
  findEkCertificate,
  findEkChain,
  parseEkCertificates,
  requireEkCertificate,
  TCG_OID,
} from '../../src/x509/ek-certificate.ts';
import { type EkRevocation, requireUnrevokedKey } from '../../src/x509/ek-revocation.ts';
import { OID } from '../../src/x509/oids.ts';
import { decodePem } from '../../src/x509/pem.ts';
import { parseRawSpki } from '../../src/x509/spki.ts';
import { deniedBy } from '../harness/denied.ts';
import { MACHINES, readVector, toHex } from '../tpm/vectors.ts';

const NOW = new Date('2026-11-22T12:00:00Z');
const NOT_REVOKED: EkRevocation = { publicKeyHashes: new Set(), certificateLabels: new Set(), crls: [] };

function trustOf(hardwareCas: readonly Certificate[], changes: Partial<EkTrust> = {}): EkTrust {
  return {
    hardwareCas,
    virtualCas: [],
    virtualManufacturers: new Set(),
    tolerateMissingEku: false,
    revocation: NOT_REVOKED,
    ...changes,
  };
}

/** All that is done with the certificates of one endorsement key. */
function judge(sent: readonly Uint8Array[], spki: Uint8Array, trust: EkTrust, now = NOW): EkCertificateFacts {
  const certificates = parseEkCertificates(sent);
  requireUnrevokedKey(spki, trust.revocation);
  const leaf = findEkCertificate(certificates, spki);
  if (leaf === undefined) {
    throw new RangeError('no certificate was sent');
  }
  return requireEkCertificate(leaf, findEkChain(leaf, certificates, trust, now), trust, now);
}

describe.each(MACHINES)('the EK certificates of %s', (machine) => {
  const cas = ['issuercert.pem', 'swtpm-localca-rootca-cert.pem'].flatMap((file) =>
    decodePem(Buffer.from(readVector(machine, file)).toString('ascii'), 'CERTIFICATE').map(parseCertificate),
  );
  const spkiOf = (key: string) => requireEndorsementKey(readVector(machine, `${key}.tpm2b_public`)).spki;

  test.each([
    ['ek-rsa2048.nv.der', 'ek-rsa'],
    ['ek-ecc384.nv.der', 'ek-ecc'],
  ])('%s is taken', (file, key) => {
    const facts = judge([readVector(machine, file)], spkiOf(key), trustOf(cas));
    expect(facts).toMatchObject({ manufacturer: 'id:00001014', model: 'swtpm', version: 'id:20191023' });
    expect(facts.chain.slice(1)).toEqual(cas);
  });

  test('A4: the platform certificate of the same key and issuer is refused', () => {
    const sent = [readVector(machine, 'platform-cert.nv.der')];
    expect(() => judge(sent, spkiOf('ek-rsa'), trustOf(cas))).toThrow(deniedBy('A4'));
  });

  test('A6: the certificate of the other endorsement key is refused', () => {
    const sent = [readVector(machine, 'ek-ecc384.nv.der')];
    expect(() => judge(sent, spkiOf('ek-rsa'), trustOf(cas))).toThrow(deniedBy('A6'));
  });
});

const tpm = new SoftwareTpm();
const spki = tpm.ekSpki;
const rsaSpki = requireEndorsementKey(readVector('direct-kernel', 'ek-rsa.tpm2b_public')).spki;
const root = EkAuthority.root();
const issuer = root.issueAuthority();
const CAS = [root.certificate, issuer.certificate];

test('takes a certificate of the profile, with its chain and what it says', () => {
  const facts = judge([issuer.issueEkCertificate(spki)], spki, trustOf(CAS));
  expect(facts).toMatchObject({
    manufacturer: 'id:494E5443',
    model: 'Test TPM',
    version: 'id:00020003',
    kind: 'hardware',
  });
  expect(facts.chain.slice(1)).toEqual([issuer.certificate, root.certificate]);
});

test('A2: an intermediate may come from the agent, or end the chain where the operator lists it', () => {
  const leaf = issuer.issueEkCertificate(spki);
  expect(judge([leaf, issuer.certificate.der], spki, trustOf([root.certificate])).chain).toHaveLength(3);
  expect(judge([issuer.certificate.der, leaf], spki, trustOf([root.certificate])).chain).toHaveLength(3);
  expect(judge([leaf], spki, trustOf([issuer.certificate])).chain).toHaveLength(2);
});

test('A2: finds the issuer among more intermediates than a chain search takes', () => {
  const many = Array.from({ length: 70 }, (_, index) => root.issueAuthority({ name: `CA ${index}` }).certificate);
  expect(judge([issuer.issueEkCertificate(spki)], spki, trustOf([...many, ...CAS])).chain).toHaveLength(3);
});

/** The same key under another algorithm: RFC 4055 §3 and §4. */
function relabelled(key: Uint8Array, algorithm: string): Uint8Array {
  return sequence(sequence(oid(algorithm)), bitString(parseRawSpki(key).subjectPublicKey));
}

test('A5: a key marked id-RSAES-OAEP is the same key', () => {
  const sent = [issuer.issueEkCertificate(relabelled(rsaSpki, OID.rsaesOaep))];
  expect(judge(sent, rsaSpki, trustOf(CAS)).kind).toBe('hardware');
});

function below(options: AuthorityOptions, leaf: EkCertificateOptions = {}): readonly Uint8Array[] {
  const ca = root.issueAuthority({ name: 'another issuer', ...options });
  return [ca.issueEkCertificate(spki, leaf), ca.certificate.der];
}

function deep(pathLength: number): readonly Uint8Array[] {
  const upper = root.issueAuthority({ name: 'upper', pathLength });
  const lower = upper.issueAuthority({ name: 'lower' });
  return [lower.issueEkCertificate(spki), lower.certificate.der, upper.certificate.der];
}

/** The same names, another key. */
const impostor = EkAuthority.root().issueAuthority();
const withOptions = (options: EkCertificateOptions) => [issuer.issueEkCertificate(spki, options)];
const tampered = (der: Uint8Array) => der.with(-1, (der.at(-1) ?? 0) ^ 1);
const twice = (der: Uint8Array) => Uint8Array.from([...der, ...der]);
const namesWithout = (type: string) => Object.fromEntries(Object.entries(TPM_NAMES).filter(([name]) => name !== type));

const REFUSED: readonly (readonly [string, string, readonly Uint8Array[]])[] = [
  ['A1', 'a zero behind the certificate', [Uint8Array.from([...issuer.issueEkCertificate(spki), 0])]],
  ['A1', 'a second certificate behind it', [twice(issuer.issueEkCertificate(spki))]],
  ['A2', 'a CA that is not listed', [EkAuthority.root({ name: 'stranger' }).issueEkCertificate(spki)]],
  ['A2', 'a CA with the name of a listed one', [impostor.issueEkCertificate(spki), impostor.certificate.der]],
  ['A2', 'a changed signature', [tampered(issuer.issueEkCertificate(spki))]],
  ['A2', 'a certificate that is not valid yet', withOptions({ notBefore: new Date('2026-11-23T00:00:00Z') })],
  ['A2', 'a certificate that expired', withOptions({ notAfter: new Date('2026-11-21T00:00:00Z') })],
  ['A2', 'an issuer that is no CA', below({ isCa: false })],
  ['A2', 'an issuer that may not sign certificates', below({ keyUsageBits: 0x02 })],
  ['A2', 'an issuer that expired', below({ notAfter: new Date('2026-11-21T00:00:00Z') })],
  ['A2', 'a chain longer than its CA allows', deep(0)],
  ['A3', 'an unknown critical extension', withOptions({ criticalExtension: '1.3.6.1.4.1.99999.1' })],
  ['A3', 'no manufacturer', withOptions({ tpm: namesWithout(TCG_OID.tpmManufacturer) })],
  ['A3', 'no model', withOptions({ tpm: namesWithout(TCG_OID.tpmModel) })],
  ['A3', 'no version', withOptions({ tpm: namesWithout(TCG_OID.tpmVersion) })],
  ['A4', 'the purpose of a platform certificate', withOptions({ extendedKeyUsage: ['2.23.133.8.2'] })],
  ['A4', 'no extended key usage', withOptions({ extendedKeyUsage: undefined })],
  ['A4', 'a CA', withOptions({ isCa: true })],
  ['A4', 'keyEncipherment on an ECC key', withOptions({ keyUsageBits: 0x20 })],
  ['A6', 'another key', [issuer.issueEkCertificate(new SoftwareTpm().ekSpki)]],
];

test.each(REFUSED)('%s refuses %s', (check, _what, sent) => {
  expect(() => judge(sent, spki, trustOf(CAS))).toThrow(deniedBy(check));
});

test('a chain as long as its CA allows is taken', () => {
  expect(judge(deep(1), spki, trustOf(CAS)).chain).toHaveLength(4);
});

test('A4 refuses keyAgreement on an RSA key', () => {
  const sent = [issuer.issueEkCertificate(rsaSpki, { keyUsageBits: 0x08 })];
  expect(() => judge(sent, rsaSpki, trustOf(CAS))).toThrow(deniedBy('A4'));
});

test('A4: a missing purpose is tolerated where the operator says so, a wrong one is not', () => {
  const trust = trustOf(CAS, { tolerateMissingEku: true });
  expect(judge(withOptions({ extendedKeyUsage: undefined }), spki, trust).kind).toBe('hardware');
  expect(() => judge(withOptions({ extendedKeyUsage: ['2.23.133.8.2'] }), spki, trust)).toThrow(deniedBy('A4'));
});

test('A5 refuses a key that is marked for signatures', () => {
  const sent = [issuer.issueEkCertificate(relabelled(rsaSpki, OID.rsassaPss))];
  expect(() => judge(sent, rsaSpki, trustOf(CAS))).toThrow(deniedBy('A5'));
});

const leaf = issuer.issueEkCertificate(spki, { serial: 0x1234 });
const crl = (...[serials, options]: Parameters<EkAuthority['issueCrl']>): CertificateRevocationList =>
  parseCrl(issuer.issueCrl(serials, options));
const rootCrl = parseCrl(root.issueCrl([0x77]));
const forgedCrl = parseCrl(impostor.issueCrl([]));
const keyHash = createHash('sha256').update(spki).digest('hex');

const REVOKED: readonly (readonly [string, Partial<EkRevocation>])[] = [
  ['by the hash of its key', { publicKeyHashes: new Set([keyHash]) }],
  ['by serial number and issuer', { certificateLabels: new Set(['1234 CN=TPM issuer']) }],
  ['by the serial number and issuer of its CA', { certificateLabels: new Set(['77 CN=TPM root']) }],
  ['on the CRL of its issuer', { crls: [crl([0x99, 0x1234])] }],
  ['under a CA on the CRL of the root', { crls: [crl([]), rootCrl] }],
  ['under a CA whose CRL expired', { crls: [crl([], { nextUpdate: new Date('2026-11-22T00:00:00Z') })] }],
  ['under a CA whose CRL is of the future', { crls: [crl([], { thisUpdate: new Date('2026-11-23T00:00:00Z') })] }],
  ['under a CA whose CRL another signed', { crls: [forgedCrl] }],
];

test.each(REVOKED)('A8 refuses a certificate %s', (_how, revocation) => {
  const trust = trustOf(CAS, { revocation: { ...NOT_REVOKED, ...revocation } });
  expect(() => judge([leaf], spki, trust)).toThrow(deniedBy('A8'));
});

test('A8: lists that name others let a certificate pass', () => {
  const revocation: EkRevocation = {
    publicKeyHashes: new Set([toHex(new Uint8Array(32))]),
    certificateLabels: new Set(['1235 CN=TPM issuer', '1234 CN=TPM root']),
    crls: [crl([0x1235]), parseCrl(root.issueCrl([0x1234])), forgedCrl],
  };
  expect(judge([leaf], spki, trustOf(CAS, { revocation })).chain).toHaveLength(3);
});

test('A8: a CRL that is not complete is not read', () => {
  const partial = issuer.issueCrl([], { criticalExtension: '2.5.29.28' });
  expect(() => parseCrl(partial)).toThrow(/critical extension 2\.5\.29\.28/);
});

test('A10: the list of its CA, or its maker, tells what kind of TPM it is', () => {
  const virtualCas = CAS;
  expect(judge([leaf], spki, trustOf([], { virtualCas })).kind).toBe('virtual');
  const virtualManufacturers = new Set(['id:494e5443']);
  expect(judge([leaf], spki, trustOf(CAS, { virtualManufacturers })).kind).toBe('virtual');
});

test.each([
  ['the root', root],
  ['an intermediate', issuer],
])('A10 refuses a chain with %s listed for both kinds', (_which, { certificate }) => {
  const trust = trustOf(CAS, { virtualCas: [certificate] });
  expect(() => judge([leaf], spki, trust)).toThrow(deniedBy('A10'));
});
