import { describe, expect, test } from 'vitest';
import { issueCaCertificate } from '../../src/x509/ca-template.ts';
import { parseCertificate } from '../../src/x509/certificate.ts';
import { verifyChain } from '../../src/x509/chain.ts';
import { encodeName, formatName } from '../../src/x509/name.ts';
import { OID } from '../../src/x509/oids.ts';
import { currentDates, extensionsOf, makeRoot, usagesOf } from './made-ca.ts';
import { ecSigner, randomSerial } from './made-certificate.ts';

describe('CA certificate', () => {
  test('has the extensions of X509-SVID §4 for a signing certificate', async () => {
    const { certificate } = await makeRoot();
    expect(extensionsOf(certificate)).toEqual([
      [OID.keyUsage, true],
      [OID.basicConstraints, true],
      [OID.subjectKeyIdentifier, false],
      [OID.authorityKeyIdentifier, false],
      [OID.subjectAltName, false],
    ]);
    expect(usagesOf(certificate)).toEqual(['keyCertSign', 'crlSign']); // §4.3
    expect(certificate.isCa).toBe(true);
    expect(certificate.pathLength).toBeUndefined();
    expect(certificate.uriNames).toEqual(['spiffe://example.org']); // §3.1: a trust domain, no path
    expect(certificate.authorityKeyId).toEqual(certificate.subjectKeyId);
    expect(formatName(certificate.subject)).toBe('O=SPIFFE,C=US');
  });

  test('for the key of a CSR, below another CA', async () => {
    const root = await makeRoot();
    const spki = ecSigner('P-384').publicKey;
    const subject = encodeName({ organization: 'downstream' });
    const options = {
      issuer: root,
      subjectPublicKeyInfo: spki,
      trustDomain: 'example.org',
      subject,
      serialNumber: randomSerial(),
    };
    const certificate = parseCertificate(await issueCaCertificate({ ...options, ...currentDates }));
    expect(certificate.subjectPublicKeyInfo).toEqual(spki);
    expect(certificate.authorityKeyId).toEqual(root.certificate.subjectKeyId);
    expect(
      verifyChain({ leaf: certificate, intermediates: [], roots: [root.certificate], now: new Date() }),
    ).toHaveLength(2);
  });

  test.each(['spiffe://example.org', 'Example.org', 'example.org/a', ''])(
    'refuses the trust domain "%s"',
    async (text) => {
      const options = { issuer: 'self', signer: ecSigner(), trustDomain: text, serialNumber: randomSerial() } as const;
      await expect(issueCaCertificate({ ...options, ...currentDates })).rejects.toThrow(
        expect.objectContaining({ code: 'ARGUMENT_INVALID', message: expect.stringMatching(/no trust domain/) }),
      );
    },
  );
});
