import { SpiffeError } from '../spiffe/error.ts';
import {
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
import { oid, sequence } from './der.ts';
import { type DistinguishedName, EMPTY_NAME, encodeName, isSameName } from './name.ts';
import { OID } from './oids.ts';
import { parseSpki } from './spki.ts';

export interface X509SvidOptions {
  readonly issuer: Issuer;
  /** From a CSR whose proof of possession was checked, see `parseCsr`. */
  readonly subjectPublicKeyInfo: Uint8Array;
  readonly spiffeId: string;
  readonly dnsNames: readonly string[];
  /** Name element. Default: C=US, O=SPIRE, and the first DNS name as CN where there is one and it fits. */
  readonly subject?: Uint8Array;
  /** 16 to 20 octets of random. */
  readonly serialNumber: Uint8Array;
  readonly notBefore: Date;
  readonly notAfter: Date;
  readonly extraExtensions?: readonly ExtraExtension[];
}

const KEY_USAGE = critical(oid(OID.keyUsage), Uint8Array.of(0x03, 0x02, 0x03, 0xa8)); // X509-SVID §4.3: signature, encipherment, agreement
const EXTENDED_KEY_USAGE = optional(oid(OID.extKeyUsage), sequence(oid(OID.serverAuth), oid(OID.clientAuth))); // §4.4
const BASIC_CONSTRAINTS = critical(oid(OID.basicConstraints), sequence()); // §4.1: cA FALSE is the DER default, so absent
const SUBJECT_ALT_NAME = oid(OID.subjectAltName);
const SUBJECT = { country: 'US', organization: 'SPIRE' } as const;
const DEFAULT_SUBJECT = encodeName(SUBJECT);
const MAX_COMMON_NAME = 64; // RFC 5280 appendix A.1, ub-common-name

/**
 * An X.509-SVID of an agent, a server or a workload.
 *
 * @returns Certificate, DER.
 * @throws SpiffeError `ARGUMENT_INVALID`, `DER_INVALID`, and whatever the signer throws.
 * @see X509-SVID §2, §4; RFC 5280 §4.1
 */
export async function issueX509Svid(options: X509SvidOptions): Promise<Uint8Array> {
  const { issuer, subjectPublicKeyInfo, spiffeId, dnsNames, serialNumber, notBefore, notAfter } = options;
  if (!spiffeId.startsWith('spiffe://')) {
    throw new SpiffeError('ARGUMENT_INVALID', `"${spiffeId}" is no SPIFFE ID, which begins with spiffe://`);
  }
  parseSpki(subjectPublicKeyInfo);
  const subject = options.subject ?? defaultSubject(dnsNames);
  const subjectAltName = isSameName(subject, EMPTY_NAME) ? critical : optional; // RFC 5280 §4.1.2.6
  const { authorityKeyId } = issuerPartsOf(issuer);
  const extensions = [
    KEY_USAGE,
    EXTENDED_KEY_USAGE,
    BASIC_CONSTRAINTS,
    subjectKeyIdExtension(subjectPublicKeyInfo),
    ...authorityKeyId,
    subjectAltName(SUBJECT_ALT_NAME, generalNames([spiffeId], dnsNames)), // X509-SVID §2: exactly one URI
    ...(options.extraExtensions ?? []).map(extraExtension),
  ];
  const fields = { serialNumber, issuer: issuer.certificate.subject, notBefore, notAfter, subject, extensions };
  return await signCertificate({ ...fields, subjectPublicKeyInfo }, issuer.signer);
}

function defaultSubject(dnsNames: readonly string[]): Uint8Array {
  const subject = svidSubject(dnsNames);
  return subject.commonName === undefined ? DEFAULT_SUBJECT : encodeName(subject);
}

/** The subject of an X.509-SVID where nobody says what it is. */
export function svidSubject([commonName]: readonly string[]): DistinguishedName {
  return commonName === undefined || commonName.length > MAX_COMMON_NAME ? SUBJECT : { ...SUBJECT, commonName };
}
