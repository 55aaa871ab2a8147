import { describe, expect, test } from 'vitest';
import { requireMintedCa } from '../../../../src/server/ca/upstream/require-minted-ca.ts';
import { issueCaCertificate } from '../../../../src/x509/ca-template.ts';
import type { Certificate } from '../../../../src/x509/certificate.ts';
import { parseCertificate } from '../../../../src/x509/certificate.ts';
import {
  critical,
  generalNames,
  type Issuer,
  optional,
  signCertificate,
  subjectKeyIdExtension,
} from '../../../../src/x509/certificate-template.ts';
import { boolean, oid, sequence } from '../../../../src/x509/der.ts';
import { encodeName } from '../../../../src/x509/name.ts';
import { OID } from '../../../../src/x509/oids.ts';
import { issueX509Svid } from '../../../../src/x509/svid-template.ts';
import { makeIntermediate, makeRoot } from '../../../x509/made-ca.ts';
import { ecSigner, HOUR_MS, randomSerial } from '../../../x509/made-certificate.ts';

const now = new Date();
const root = await makeRoot();
const stranger = await makeRoot();
const signer = ecSigner();
const trusted = ({ certificate }: Issuer, tainted = false) => ({ certificate: certificate.der, tainted });
const dates = { notBefore: new Date(now.getTime() - 10_000), notAfter: new Date(now.getTime() + HOUR_MS) };

async function ca(more: Partial<Parameters<typeof issueCaCertificate>[0]> = {}, issuer = root): Promise<Uint8Array> {
  return await issueCaCertificate({
    issuer,
    subjectPublicKeyInfo: signer.publicKey,
    trustDomain: 'example.org',
    serialNumber: randomSerial(),
    ...dates,
    ...more,
  } as Parameters<typeof issueCaCertificate>[0]);
}

const SIGNS = Uint8Array.of(0x03, 0x02, 0x01, 0x06); // keyCertSign, cRLSign
const SIGNS_NOT = Uint8Array.of(0x03, 0x02, 0x07, 0x80); // digitalSignature

/** With the extensions that a test wants. */
async function odd(
  keyUsage: Uint8Array,
  basicConstraints: Uint8Array,
  uriNames: readonly string[] = [],
  subjectKeyId: readonly Uint8Array[] = [subjectKeyIdExtension(signer.publicKey)],
) {
  return await signCertificate(
    {
      serialNumber: randomSerial(),
      issuer: root.certificate.subject,
      subject: encodeName({ organization: 'Odd' }),
      subjectPublicKeyInfo: signer.publicKey,
      ...dates,
      extensions: [
        critical(oid(OID.keyUsage), keyUsage),
        critical(oid(OID.basicConstraints), basicConstraints),
        ...subjectKeyId,
        ...(uriNames.length === 0 ? [] : [optional(oid(OID.subjectAltName), generalNames(uriNames, []))]),
      ],
    },
    root.signer,
  );
}

const check = (chain: readonly Uint8Array[], roots = [trusted(root)]) =>
  requireMintedCa({ chain, roots, signer, trustDomain: 'example.org', now });
const isSame = (one: Certificate, { certificate }: Issuer) => Buffer.compare(one.der, certificate.der) === 0;

describe('a CA that a PKI above signed', () => {
  test('is taken with the root that verifies it', async () => {
    const checked = await check([await ca()], [trusted(stranger), trusted(root)]);
    expect(isSame(checked.root, root)).toBe(true);
    expect(checked.isBelowTainted).toBe(false);
  });

  test('may have intermediates above it', async () => {
    const intermediate = await makeIntermediate(root);
    const checked = await check([await ca({}, intermediate), intermediate.certificate.der]);
    expect(isSame(checked.root, root)).toBe(true);
  });

  test('need not name the trust domain', async () => {
    expect(await check([await odd(SIGNS, sequence(boolean(true)))])).toMatchObject({ isBelowTainted: false });
  });

  test('below a tainted root alone is told', async () => {
    expect(await check([await ca()], [trusted(stranger), trusted(root, true)])).toMatchObject({ isBelowTainted: true });
  });

  const expired = { notBefore: new Date(now.getTime() - 2 * HOUR_MS), notAfter: new Date(now.getTime() - HOUR_MS) };
  const later = { notBefore: new Date(now.getTime() + HOUR_MS), notAfter: new Date(now.getTime() + 2 * HOUR_MS) };
  const rows: readonly (readonly [string, () => Promise<readonly Uint8Array[]>, RegExp])[] = [
    ['that is missing', async () => [], /it is missing/],
    ['for another key', async () => [await ca({ subjectPublicKeyInfo: ecSigner().publicKey })], /for another key/],
    ['that is an SVID', async () => [await svid()], /no CA by its basicConstraints/],
    ['that may not sign', async () => [await odd(SIGNS_NOT, sequence(boolean(true)))], /may not sign certificates/],
    [
      'without a name for its key',
      async () => [await odd(SIGNS, sequence(boolean(true)), [], [])],
      /it has no subjectKeyIdentifier/,
    ],
    [
      'of another trust domain',
      async () => [await ca({ trustDomain: 'other.example' })],
      /URI name "spiffe:\/\/other.example"/,
    ],
    [
      'with the name of a workload',
      async () => [await odd(SIGNS, sequence(boolean(true)), ['spiffe://example.org/web'])],
      /URI name "spiffe:\/\/example.org\/web"/,
    ],
    ['that expired', async () => [await ca(expired)], /expired at/],
    ['that begins later', async () => [await ca(later)], /is not valid before/],
    [
      'of a root that did not come with it',
      async () => [await ca({}, stranger)],
      /another key identifier|did not sign|no issuer of/,
    ],
    [
      'whose intermediate is missing',
      async () => [await ca({}, await makeIntermediate(root))],
      /another key identifier|did not sign|no issuer of/,
    ],
    ['below one that allows none', async () => belowNarrow(), /allows 0 CA certificates below it/],
  ];
  test.each(rows)('%s is refused', async (_what, chain, message) => {
    await expect(check(await chain())).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: expect.stringMatching(
        new RegExp(`the CA that the upstream authority signed cannot be used: .*(?:${message.source})`),
      ),
    });
  });
});

async function svid(): Promise<Uint8Array> {
  return await issueX509Svid({
    issuer: root,
    subjectPublicKeyInfo: signer.publicKey,
    spiffeId: 'spiffe://example.org/web',
    dnsNames: [],
    serialNumber: randomSerial(),
    ...dates,
  });
}

/** The CA hangs on an intermediate that may have no CA below it. */
async function belowNarrow(): Promise<readonly Uint8Array[]> {
  const narrow = ecSigner();
  const der = await ca({ subjectPublicKeyInfo: narrow.publicKey, pathLength: 0 });
  return [await ca({}, { signer: narrow, certificate: parseCertificate(der) }), der];
}
