import type { KeyManager } from '../../plugin-host/kinds/key-manager.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';
import { issueCaCertificate } from '../../x509/ca-template.ts';
import { type Certificate, parseCertificate } from '../../x509/certificate.ts';
import { type DistinguishedName, encodeName } from '../../x509/name.ts';
import type { KeyType, Signer } from '../../x509/signer.ts';
import type { Slot, X509Record } from './ca-journal.ts';
import { randomSerialNumber } from './serial-number.ts';

/** A CA certificate with the key that signs for it. */
export interface X509SigningAuthority {
  readonly signer: Signer;
  readonly certificate: Certificate;
  /** What goes along with an SVID that it signs, to link it to the bundle: DER; empty for a root. */
  readonly intermediates: readonly Uint8Array[];
  /** Lower-case hex of the subject key identifier. */
  readonly authorityId: string;
  /** Unix seconds. */
  readonly notAfter: number;
}

export interface X509AuthorityOptions {
  readonly keyManager: KeyManager;
  readonly trustDomain: TrustDomain;
  readonly keyType: KeyType;
  readonly ttlSeconds: number;
  readonly subject: DistinguishedName;
}

/** Clocks differ: a certificate is valid from a little before it is made. */
export const BACKDATE_SECONDS = 10;

const keyId = (slot: Slot) => `x509-CA-${slot}`;

/** Makes a new key in `slot` and a self-signed CA certificate for it. */
export async function prepareX509Authority(
  { keyManager, trustDomain, keyType, ttlSeconds, subject }: X509AuthorityOptions,
  slot: Slot,
  now: number,
): Promise<X509Record> {
  const signer = await keyManager.generateKey(keyId(slot), keyType);
  const serialNumber = randomSerialNumber();
  const notAfter = now + ttlSeconds;
  const certificate = await issueCaCertificate({
    issuer: 'self',
    signer,
    // The serial number keeps the subjects of two generations apart, which verifiers look issuers up by.
    subject: encodeName({
      ...subject,
      serialNumber: BigInt(`0x${Buffer.from(serialNumber).toString('hex')}`).toString(),
    }),
    trustDomain,
    serialNumber,
    notBefore: new Date((now - BACKDATE_SECONDS) * 1000),
    notAfter: new Date(notAfter * 1000),
  });
  return { slot, state: 'prepared', chain: [certificate], issuedAt: now, notAfter };
}

/** The authority of a record, where the key manager still holds its key. */
export async function findX509Authority(
  keyManager: KeyManager,
  record: X509Record,
): Promise<X509SigningAuthority | undefined> {
  const [leaf, ...above] = record.chain;
  const signer = await keyManager.findKey(keyId(record.slot));
  if (leaf === undefined || signer === undefined) return undefined;
  const certificate = parseCertificate(leaf);
  if (Buffer.compare(certificate.subjectPublicKeyInfo, signer.publicKey) !== 0) return undefined;
  return {
    signer,
    certificate,
    intermediates: above.length === 0 ? [] : record.chain,
    authorityId: authorityIdOf(certificate),
    notAfter: record.notAfter,
  };
}

export function authorityIdOf(certificate: Certificate): string {
  return Buffer.from(certificate.subjectKeyId ?? []).toString('hex');
}
