import { SpiffeError } from '../spiffe/error.ts';
import type { Certificate } from './certificate.ts';
import { bitString, explicit, octetString, oid, primitiveContext, sequence, Tag, tlv, unsignedInteger } from './der.ts';
import { encodeIa5Name } from './der-string.ts';
import { encodeTime } from './der-time.ts';
import { GeneralNameTag } from './extensions.ts';
import { OID } from './oids.ts';
import { signatureAlgorithmDer } from './signature-algorithm.ts';
import { type Signer, signMessage } from './signer.ts';
import { subjectKeyIdOfSpki } from './spki.ts';

/** A CA that signs: its certificate, and the key of that certificate. */
export interface Issuer {
  readonly signer: Signer;
  readonly certificate: Certificate;
}

export interface CertificateFields {
  /** Unsigned, big-endian: see {@link encodeSerialNumber}. */
  readonly serialNumber: Uint8Array;
  /** Name element. */
  readonly issuer: Uint8Array;
  readonly notBefore: Date;
  readonly notAfter: Date;
  /** Name element. */
  readonly subject: Uint8Array;
  readonly subjectPublicKeyInfo: Uint8Array;
  /** Extension elements, in wire order. */
  readonly extensions: readonly Uint8Array[];
}

const VERSION_3 = explicit(0, Uint8Array.of(Tag.integer, 1, 2));
const MIN_SERIAL_LENGTH = 16;
const MAX_SERIAL_LENGTH = 20;

/** Assembles a Certificate and has it signed, once. Source: RFC 5280 §4.1. */
export async function signCertificate(fields: CertificateFields, signer: Signer): Promise<Uint8Array> {
  const { notBefore, notAfter } = fields;
  if (!(notBefore.getTime() < notAfter.getTime())) {
    throw new SpiffeError('ARGUMENT_INVALID', `notAfter ${notAfter.getTime()} ms is not after notBefore`);
  }
  const algorithm = signatureAlgorithmDer(signer.keyType);
  const tbs = sequence(
    VERSION_3, //                                                    [0] EXPLICIT Version: v3
    encodeSerialNumber(fields.serialNumber), //                      serialNumber
    algorithm, //                                                    signature
    fields.issuer, //                                                issuer
    sequence(encodeTime(notBefore), encodeTime(notAfter)), //        validity
    fields.subject, //                                               subject
    fields.subjectPublicKeyInfo, //                                  subjectPublicKeyInfo
    explicit(3, sequence(...fields.extensions)), //                  [3] EXPLICIT Extensions
  );
  return sequence(tbs, algorithm, bitString(await signMessage(signer, tbs)));
}

/**
 * @param serialNumber 16 to 20 octets of random, so that no two certificates of an issuer share one.
 * @throws SpiffeError `ARGUMENT_INVALID`
 * @see RFC 5280 §4.1.2.2: positive, at most 20 octets as encoded
 */
export function encodeSerialNumber(serialNumber: Uint8Array): Uint8Array {
  const { length } = serialNumber;
  const isTooLarge = length > MAX_SERIAL_LENGTH || (length === MAX_SERIAL_LENGTH && (serialNumber[0] ?? 0) >= 0x80);
  if (length < MIN_SERIAL_LENGTH || isTooLarge || serialNumber.every((octet) => octet === 0)) {
    throw new SpiffeError('ARGUMENT_INVALID', `a serial number is positive, of 128 to 159 bits, not ${length} octets`);
  }
  return unsignedInteger(serialNumber);
}

const CRITICAL = Uint8Array.of(Tag.boolean, 1, 0xff);

/** An Extension with `critical` TRUE. Source: RFC 5280 §4.2. */
export const critical = (extension: Uint8Array, value: Uint8Array): Uint8Array =>
  sequence(extension, CRITICAL, octetString(value));
/** An Extension with `critical` absent, which means FALSE. */
export const optional = (extension: Uint8Array, value: Uint8Array): Uint8Array =>
  sequence(extension, octetString(value));

/** An extension that the templates know nothing of. */
export interface ExtraExtension {
  /** Dotted decimal. */
  readonly oid: string;
  /** What goes into the OCTET STRING. */
  readonly value: Uint8Array;
  readonly critical: boolean;
}

export const extraExtension = ({ oid: type, value, critical: isCritical }: ExtraExtension): Uint8Array =>
  (isCritical ? critical : optional)(oid(type), value);

/** RFC 5280 §4.2.1.4: PolicyInformation without qualifiers. @param policies dotted decimal */
export const certificatePolicies = (policies: readonly string[]): readonly Uint8Array[] =>
  policies.length === 0
    ? []
    : [optional(oid(OID.certificatePolicies), sequence(...policies.map((policy) => sequence(oid(policy)))))];

const subjectKeyIdentifier = oid(OID.subjectKeyIdentifier);
const authorityKeyIdentifier = oid(OID.authorityKeyIdentifier);

/** RFC 5280 §4.2.1.2 */
export const subjectKeyIdExtension = (spki: Uint8Array): Uint8Array =>
  optional(subjectKeyIdentifier, octetString(subjectKeyIdOfSpki(spki)));

/** RFC 5280 §4.2.1.1: keyIdentifier alone */
export const authorityKeyIdExtension = (keyId: Uint8Array): Uint8Array =>
  optional(authorityKeyIdentifier, sequence(tlv(primitiveContext(0), keyId)));

/** GeneralNames with URIs first. Source: RFC 5280 §4.2.1.6. @throws SpiffeError `DER_INVALID` outside printable ASCII */
export const generalNames = (uriNames: readonly string[], dnsNames: readonly string[]): Uint8Array =>
  sequence(
    ...uriNames.map((uri) => tlv(GeneralNameTag.uri, encodeIa5Name(uri, 'URI name'))),
    ...dnsNames.map((name) => tlv(GeneralNameTag.dns, encodeIa5Name(name, 'DNS name'))),
  );

interface IssuerParts {
  readonly signer: Signer;
  /** The Extension, empty where the issuer has no subjectKeyIdentifier. */
  readonly authorityKeyId: readonly Uint8Array[];
}

const issuerParts = new WeakMap<Certificate, IssuerParts>();

/**
 * What every certificate of this issuer shares; checked and encoded once for a certificate and signer.
 *
 * @throws SpiffeError `ARGUMENT_INVALID` where the signer's key is not the certificate's, or the certificate is no CA's.
 */
export function issuerPartsOf({ signer, certificate }: Issuer): IssuerParts {
  const known = issuerParts.get(certificate);
  if (known?.signer === signer) return known;
  if (Buffer.compare(signer.publicKey, certificate.subjectPublicKeyInfo) !== 0) {
    throw new SpiffeError('ARGUMENT_INVALID', 'the signing key is not the key of the issuer certificate');
  }
  if (!certificate.isCa || certificate.keyUsage?.keyCertSign === false) {
    throw new SpiffeError('ARGUMENT_INVALID', 'the issuer certificate is no CA that may sign certificates');
  }
  const { subjectKeyId } = certificate;
  const parts = { signer, authorityKeyId: subjectKeyId ? [authorityKeyIdExtension(subjectKeyId)] : [] };
  issuerParts.set(certificate, parts);
  return parts;
}
