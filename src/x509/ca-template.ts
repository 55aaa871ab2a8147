import { SpiffeError } from '../spiffe/error.ts';
import {
  authorityKeyIdExtension,
  certificatePolicies,
  critical,
  type ExtraExtension,
  extraExtension,
  generalNames,
  type Issuer,
  issuerPartsOf,
  optional,
  signCertificate,
  subjectKeyIdExtension,
} from './certificate-template.ts';
import { boolean, oid, sequence, Tag } from './der.ts';
import { EMPTY_NAME, encodeName, isSameName } from './name.ts';
import { OID } from './oids.ts';
import type { Signer } from './signer.ts';
import { parseSpki, subjectKeyIdOfSpki } from './spki.ts';

/** Whose certificate it is: a CA that signs its own, one whose key we can use, or one that sent a CSR. */
export type CaCertificateKey =
  | { readonly issuer: 'self'; readonly signer: Signer }
  | { readonly issuer: Issuer; readonly signer: Signer }
  | { readonly issuer: Issuer; readonly subjectPublicKeyInfo: Uint8Array };

export type CaCertificateOptions = CaCertificateKey & {
  /** Such as `example.org`; it becomes the URI name `spiffe://example.org`. */
  readonly trustDomain: string;
  /** So many CA certificates may follow below it. Default: any number. */
  readonly pathLength?: 0;
  /** Name element. Default: C=US, O=SPIFFE. */
  readonly subject?: Uint8Array;
  /** 16 to 20 octets of random. */
  readonly serialNumber: Uint8Array;
  readonly notBefore: Date;
  readonly notAfter: Date;
  /** OIDs, dotted decimal. */
  readonly policyIdentifiers?: readonly string[];
  readonly extraExtensions?: readonly ExtraExtension[];
};

const KEY_USAGE = critical(oid(OID.keyUsage), Uint8Array.of(0x03, 0x02, 0x01, 0x06)); // X509-SVID §4.3: keyCertSign, cRLSign
const BASIC_CONSTRAINTS = critical(oid(OID.basicConstraints), sequence(boolean(true))); // §4.1: cA TRUE, path length absent
const LAST_CA = critical(oid(OID.basicConstraints), sequence(boolean(true), Uint8Array.of(Tag.integer, 1, 0)));
const SUBJECT_ALT_NAME = oid(OID.subjectAltName);
/** C=US, O=SPIFFE. */
export const DEFAULT_CA_SUBJECT: Uint8Array = encodeName({ country: 'US', organization: 'SPIFFE' });

/**
 * The certificate of a trust domain's CA, a root or below another. It always names its issuer's key identifier, so that
 * it is told from a root where both have the same name.
 *
 * @returns Certificate, DER.
 * @throws SpiffeError `ARGUMENT_INVALID`, `DER_INVALID`, and whatever the signer throws.
 * @see X509-SVID §2 (a signing certificate may have a SPIFFE ID, without path), §3.1, §4; RFC 5280 §4.1
 */
export async function issueCaCertificate(options: CaCertificateOptions): Promise<Uint8Array> {
  const {
    issuer,
    trustDomain,
    serialNumber,
    notBefore,
    notAfter,
    policyIdentifiers = [],
    extraExtensions = [],
  } = options;
  if (!/^[a-z0-9._-]+$/.test(trustDomain)) {
    throw new SpiffeError('ARGUMENT_INVALID', `"${trustDomain}" is no trust domain, such as example.org`);
  }
  const subjectPublicKeyInfo = 'signer' in options ? options.signer.publicKey : options.subjectPublicKeyInfo;
  parseSpki(subjectPublicKeyInfo);
  const subject = options.subject ?? DEFAULT_CA_SUBJECT;
  const subjectAltName = isSameName(subject, EMPTY_NAME) ? critical : optional; // RFC 5280 §4.1.2.6
  const authorityKeyId =
    issuer === 'self'
      ? [authorityKeyIdExtension(subjectKeyIdOfSpki(subjectPublicKeyInfo))]
      : issuerPartsOf(issuer).authorityKeyId;
  const extensions = [
    KEY_USAGE,
    options.pathLength === undefined ? BASIC_CONSTRAINTS : LAST_CA,
    subjectKeyIdExtension(subjectPublicKeyInfo),
    ...authorityKeyId,
    subjectAltName(SUBJECT_ALT_NAME, generalNames([`spiffe://${trustDomain}`], [])),
    ...certificatePolicies(policyIdentifiers),
    ...extraExtensions.map(extraExtension),
  ];
  const issuerName = issuer === 'self' ? subject : issuer.certificate.subject;
  const fields = { serialNumber, issuer: issuerName, notBefore, notAfter, subject, subjectPublicKeyInfo, extensions };
  return await signCertificate(fields, options.issuer === 'self' ? options.signer : options.issuer.signer);
}
