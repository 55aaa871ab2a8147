import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { parseCertificate } from '../../src/x509/certificate.ts';
import type { Issuer } from '../../src/x509/certificate-template.ts';
import { verifyChain } from '../../src/x509/chain.ts';
import { EMPTY_NAME, formatName } from '../../src/x509/name.ts';
import { OID } from '../../src/x509/oids.ts';
import { encodePem } from '../../src/x509/pem.ts';
import { signerOfKeyObject } from '../../src/x509/signer.ts';
import { subjectKeyIdOfSpki } from '../../src/x509/spki.ts';
import { issueX509Svid, type X509SvidOptions } from '../../src/x509/svid-template.ts';
import { currentDates, extensionsOf, makeIntermediate, makeRoot, usagesOf } from './made-ca.ts';
import { ecSigner, makeCertificate, randomSerial } from './made-certificate.ts';
import { OpenSslFolder } from './openssl.ts';

const spiffeId = 'spiffe://example.org/workload';
const subjectPublicKeyInfo = ecSigner().publicKey;
const issue = async (issuer: Issuer, more: Partial<X509SvidOptions> = {}) =>
  parseCertificate(
    await issueX509Svid({
      issuer,
      subjectPublicKeyInfo,
      spiffeId,
      dnsNames: [],
      serialNumber: randomSerial(),
      ...currentDates,
      ...more,
    }),
  );

describe('X.509-SVID', () => {
  test('has the extensions of X509-SVID §4, each critical where it must be', async () => {
    const root = await makeRoot();
    const svid = await issue(root);
    expect(extensionsOf(svid)).toEqual([
      [OID.keyUsage, true],
      [OID.extKeyUsage, false],
      [OID.basicConstraints, true],
      [OID.subjectKeyIdentifier, false],
      [OID.authorityKeyIdentifier, false],
      [OID.subjectAltName, false],
    ]);
    expect(usagesOf(svid)).toEqual(['digitalSignature', 'keyEncipherment', 'keyAgreement']); // §4.3
    expect(svid.extendedKeyUsage).toEqual([OID.serverAuth, OID.clientAuth]); // §4.4
    expect(svid.isCa).toBe(false); // §4.1
    expect(svid.uriNames).toEqual([spiffeId]); // §2
    expect(svid.authorityKeyId).toEqual(root.certificate.subjectKeyId);
    expect(svid.subjectKeyId).toEqual(subjectKeyIdOfSpki(subjectPublicKeyInfo));
    expect(formatName(svid.subject)).toBe('O=SPIRE,C=US');
    expect(svid.subjectPublicKeyInfo).toEqual(subjectPublicKeyInfo);
  });

  test('dates and serial number are those asked for, to the second', async () => {
    const serialNumber = Uint8Array.of(0xff, ...randomSerial().subarray(1));
    const svid = await issue(await makeRoot(), { serialNumber, notAfter: new Date('2050-01-01T00:00:00.900Z') });
    expect(svid.notAfter.toISOString()).toBe('2050-01-01T00:00:00.000Z');
    expect(svid.notBefore.getTime()).toBe(Math.floor(currentDates.notBefore.getTime() / 1000) * 1000);
    expect(svid.serialNumber).toEqual(Uint8Array.of(0, ...serialNumber));
  });

  test('the first DNS name is the common name where it fits (RFC 5280 appendix A.1)', async () => {
    const root = await makeRoot();
    const svid = await issue(root, { dnsNames: ['a.example', 'b.example'] });
    expect(svid.dnsNames).toEqual(['a.example', 'b.example']);
    expect(formatName(svid.subject)).toBe('CN=a.example,O=SPIRE,C=US');
    const long = `${'x'.repeat(60)}.example`;
    expect(formatName((await issue(root, { dnsNames: [long] })).subject)).toBe('O=SPIRE,C=US');
  });

  test('without subject the SAN is critical (RFC 5280 §4.1.2.6)', async () => {
    const svid = await issue(await makeRoot(), { subject: EMPTY_NAME });
    expect(svid.extensions.get(OID.subjectAltName)?.isCritical).toBe(true);
  });

  test.each([
    ['a short serial number', 'RFC 5280 §4.1.2.2', { serialNumber: new Uint8Array(15).fill(1) }, /128 to 159 bits/],
    ['a serial number of 160 bits', 'RFC 5280 §4.1.2.2', { serialNumber: new Uint8Array(20).fill(0x80) }, /128 to 159/],
    ['serial number 0', 'RFC 5280 §4.1.2.2', { serialNumber: new Uint8Array(16) }, /positive/],
    ['no SPIFFE ID', 'X509-SVID §2', { spiffeId: 'https://example.org' }, /no SPIFFE ID/],
    ['an ID outside ASCII', 'RFC 5280 §4.2.1.6', { spiffeId: 'spiffe://é' }, /outside ASCII/],
    ['a DNS name with a space', 'RFC 5280 §4.2.1.6', { dnsNames: ['a b'] }, /outside ASCII/],
    ['dates in the wrong order', 'RFC 5280 §4.1.2.5', { notAfter: currentDates.notBefore }, /is not after/],
    ['a date that is none', 'RFC 5280 §4.1.2.5', { notAfter: new Date(Number.NaN) }, /is not after/],
    [
      'a key that is none',
      'RFC 5280 §4.1.2.7',
      { subjectPublicKeyInfo: Uint8Array.of(0x30, 0) },
      /algorithm of the public/,
    ],
  ])('refuses %s (%s)', async (_rule, _section, more, message) => {
    await expect(issue(await makeRoot(), more)).rejects.toThrow(
      expect.objectContaining({ name: 'SpiffeError', message: expect.stringMatching(message) }),
    );
  });

  test.each([
    [
      "a key that is not the issuer's",
      async () => ({ ...(await makeRoot()), signer: ecSigner() }),
      /not the key of the issuer/,
    ],
    ['an issuer that is no CA', async () => makeCertificate({ subject: 'x', isCa: false }), /no CA/],
  ])('refuses %s', async (_rule, make, message) => {
    await expect(issue(await make())).rejects.toThrow(
      expect.objectContaining({ code: 'ARGUMENT_INVALID', message: expect.stringMatching(message) }),
    );
  });
});

const signers = [
  ['ec-p256', ecSigner('P-256')],
  ['ec-p384', ecSigner('P-384')],
  ['rsa-2048', signerOfKeyObject(generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey)],
  ['rsa-4096', signerOfKeyObject(generateKeyPairSync('rsa', { modulusLength: 4096 }).privateKey)],
] as const;

describe.each(signers)('seen by others, issued by %s', (_keyType, signer) => {
  test('openssl and Node verify root, intermediate of the same name, and SVID', async () => {
    const root = await makeRoot(signer);
    const middle = await makeIntermediate(root);
    const svid = await issue(middle, { dnsNames: ['a.example'] });
    expect(Buffer.from(middle.certificate.subject).equals(root.certificate.subject)).toBe(true);
    const options = { leaf: svid, intermediates: [middle.certificate], roots: [root.certificate], now: new Date() };
    expect(verifyChain(options)).toEqual([svid, middle.certificate, root.certificate]);

    const [a, b, c] = [svid, middle.certificate, root.certificate].map(({ der }) => new X509Certificate(der));
    expect(a?.checkIssued(b ?? a) && b?.checkIssued(c ?? b) && c?.checkIssued(c)).toBe(true);
    expect(b !== undefined && a?.verify(b.publicKey)).toBe(true);
    expect(c !== undefined && b?.verify(c.publicKey) && c.verify(c.publicKey)).toBe(true);
    expect(a?.subjectAltName).toBe('URI:spiffe://example.org/workload, DNS:a.example');
    expect(a?.ca).toBe(false);
    expect(c?.ca).toBe(true);

    using folder = new OpenSslFolder();
    folder.write('root.pem', encodePem('CERTIFICATE', root.certificate.der));
    folder.write('middle.pem', encodePem('CERTIFICATE', middle.certificate.der));
    folder.write('svid.pem', encodePem('CERTIFICATE', svid.der));
    const chain = ['-CAfile', 'root.pem', '-untrusted', 'middle.pem', 'svid.pem'];
    expect(folder.run('verify', '-x509_strict', '-purpose', 'sslserver', ...chain)).toContain('svid.pem: OK');
    expect(folder.run('verify', '-x509_strict', '-purpose', 'sslclient', ...chain)).toContain('svid.pem: OK');
    const text = folder.run('x509', '-in', 'svid.pem', '-noout', '-text').replaceAll(/\s+/g, ' ');
    expect(text).toContain('X509v3 Key Usage: critical Digital Signature, Key Encipherment, Key Agreement');
    expect(text).toContain('TLS Web Server Authentication, TLS Web Client Authentication');
    expect(text).toContain('X509v3 Basic Constraints: critical CA:FALSE');
    const rootText = folder.run('x509', '-in', 'root.pem', '-noout', '-text').replaceAll(/\s+/g, ' ');
    expect(rootText).toContain('X509v3 Key Usage: critical Certificate Sign, CRL Sign');
    expect(rootText).toContain('X509v3 Basic Constraints: critical CA:TRUE X509v3');
  });
});
