import { describe, expect, test } from 'vitest';
import { EkAuthority } from '../../src/testing/ek-authority.ts';
import { SoftwareTpm } from '../../src/testing/software-tpm.ts';
import type { EkTrustStore } from '../../src/tpm-trust/ek-trust-store.ts';
import { type DecodedEk, type EkEvidence, KnownEks } from '../../src/tpm-trust/known-eks.ts';
import { requireTrustedEk } from '../../src/tpm-trust/require-trusted-ek.ts';
import type { EkTrust } from '../../src/x509/ek-certificate.ts';
import { certificateLabel } from '../../src/x509/ek-revocation.ts';
import { denied, refusalOf } from '../tpm/refusals.ts';

const authority = EkAuthority.root();
const tpm = new SoftwareTpm();
const year = (number: number) => new Date(`${number}-06-01T00:00:00Z`);
const certificate = authority.issueEkCertificate(tpm.ekSpki, { notBefore: year(2024), notAfter: year(2030) });
const evidence: EkEvidence = { ekPublic: tpm.ekPublic, ekCertificates: [certificate] };
const trustIn = (hardwareCas: EkTrust['hardwareCas'], revoked: readonly string[] = []): EkTrustStore => ({
  hardwareCas,
  virtualCas: [],
  virtualManufacturers: new Set(),
  tolerateMissingEku: false,
  revocation: { publicKeyHashes: new Set(), certificateLabels: new Set(revoked), crls: [] },
  enrolled: new Map(),
});
const judge = ({ ek, certificates }: DecodedEk, trust: EkTrustStore, now = year(2026)) =>
  requireTrustedEk(ek, certificates, trust, now);

describe('an endorsement key that has attested', () => {
  const eks = new KnownEks();
  const first = eks.decode(evidence);
  const trust = trustIn([authority.certificate]);
  judge(first, trust);

  test('is decoded again as long as it has not', () => {
    expect(eks.decode(evidence).ek).not.toBe(first.ek);
  });

  test('is not decoded again for the same bytes', () => {
    eks.keep(evidence, first);
    const again = eks.decode({ ekPublic: Buffer.from(tpm.ekPublic), ekCertificates: [Buffer.from(certificate)] });
    expect(again.ek).toBe(first.ek);
    expect(again.certificates).toBe(first.certificates);
  });

  test.each<readonly [string, EkTrustStore, Date, string]>([
    ['the time', trust, year(2031), 'A2'],
    ['the time before it', trust, year(2023), 'A2'],
    ['the CAs', trustIn([EkAuthority.root({ name: 'another' }).certificate]), year(2026), 'A2'],
    ['what is revoked', trustIn([authority.certificate], first.certificates.map(certificateLabel)), year(2026), 'A8'],
  ])('is judged again by %s', (_what, other, now, check) => {
    eks.keep(evidence, first);
    expect(judge(eks.decode(evidence), trust)).toMatchObject({ kind: 'hardware' });
    expect(refusalOf(() => judge(eks.decode(evidence), other, now))).toEqual(denied(check, /./));
  });

  test.each<readonly [string, readonly Uint8Array[], RegExp]>([
    ['a byte behind its certificate', [Buffer.concat([certificate, Buffer.of(0)])], /check A1/],
    ['a certificate that is cut off', [certificate.subarray(0, -1)], /are left/],
  ])('is refused with %s', (_what, ekCertificates, message) => {
    eks.keep(evidence, first);
    expect(() => eks.decode({ ...evidence, ekCertificates })).toThrow(message);
  });

  test('is judged by the certificates that it brings, whichever it had before', () => {
    eks.keep(evidence, first);
    const stranger = EkAuthority.root({ name: 'stranger' }).issueEkCertificate(tpm.ekSpki);
    const decoded = eks.decode({ ...evidence, ekCertificates: [stranger] });
    expect(refusalOf(() => judge(decoded, trust))).toEqual(denied('A2', /./));
    const none = eks.decode({ ...evidence, ekCertificates: [] });
    expect(refusalOf(() => judge(none, trust))).toEqual(denied('A11', /./));
  });

  test('does not lend its certificates to another key', () => {
    eks.keep(evidence, first);
    const other = eks.decode({ ekPublic: new SoftwareTpm().ekPublic, ekCertificates: [certificate] });
    expect(refusalOf(() => judge(other, trust))).toEqual(denied('A6', /./));
  });
});
