import { SpiffeError } from '../spiffe/error.ts';
import { constructedContext, DerReader, derInvalid, parseDer, primitiveContext, Tag } from './der.ts';
import { readTime } from './der-time.ts';
import {
  type Extension,
  type GeneralName,
  type KeyUsage,
  parseAuthorityKeyId,
  parseBasicConstraints,
  parseExtendedKeyUsage,
  parseKeyUsage,
  parseSubjectAltName,
  readExtensions,
} from './extensions.ts';
import { parseName } from './name.ts';
import { OID } from './oids.ts';
import { readSignatureAlgorithm, type SignatureAlgorithm } from './signature-algorithm.ts';
import { parseRawSpki } from './spki.ts';

/** A parsed certificate. Nothing in it has been verified; every array is a view of `der`, a copy of the input. */
export interface Certificate {
  readonly der: Uint8Array;
  /** TBSCertificate, the element that the signature covers. */
  readonly tbs: Uint8Array;
  readonly version: 1 | 2 | 3;
  /** Content octets of the INTEGER: two's complement, a leading 00 where the number's first bit is set. */
  readonly serialNumber: Uint8Array;
  /** Name element. */
  readonly issuer: Uint8Array;
  /** Name element. */
  readonly subject: Uint8Array;
  readonly notBefore: Date;
  /** 9999-12-31T23:59:59Z: no known end. */
  readonly notAfter: Date;
  /** As in the certificate; see `canonicalSpki` and `publicKeyOfSpki`. */
  readonly subjectPublicKeyInfo: Uint8Array;
  readonly signatureAlgorithm: SignatureAlgorithm;
  readonly signature: Uint8Array;
  /** By OID, dotted decimal. */
  readonly extensions: ReadonlyMap<string, Extension>;
  readonly isCa: boolean;
  readonly pathLength?: number;
  readonly keyUsage?: KeyUsage;
  /** OIDs, dotted decimal. */
  readonly extendedKeyUsage?: readonly string[];
  /** Every name of the SAN, of whatever kind; empty without one. */
  readonly subjectAltNames: readonly GeneralName[];
  readonly uriNames: readonly string[];
  readonly dnsNames: readonly string[];
  readonly subjectKeyId?: Uint8Array;
  readonly authorityKeyId?: Uint8Array;
}

const MAX_CERTIFICATE_LENGTH = 64 * 1024;
const MAX_SERIAL_LENGTH = 21; // RFC 5280 §4.1.2.2: 20, and one for the sign that some issuers add to 20 random octets

/**
 * @param der exactly one certificate, at most 64 KiB.
 * @throws SpiffeError `CERTIFICATE_INVALID`, naming the first rule broken.
 * @see RFC 5280 §4.1, §4.2
 */
export function parseCertificate(der: Uint8Array): Certificate {
  try {
    if (der.length > MAX_CERTIFICATE_LENGTH) derInvalid(`it has ${der.length} octets, more than 65536`);
    const copy = new Uint8Array(der);
    return parseDer(copy, Tag.sequence, 'Certificate', (reader) => readCertificate(copy, reader));
  } catch (error) {
    if (!(error instanceof SpiffeError)) throw error;
    throw new SpiffeError('CERTIFICATE_INVALID', `the certificate cannot be read: ${error.message}`, { cause: error });
  }
}

function readCertificate(der: Uint8Array, reader: DerReader): Certificate {
  const tbs = reader.readRaw(Tag.sequence, 'TBSCertificate');
  const signatureAlgorithm = readSignatureAlgorithm(reader);
  const signature = reader.readOctetsInBitString('the signature');

  const body = reader.nested(tbs).enter(Tag.sequence, 'TBSCertificate');
  const version = readVersion(body);
  const serialNumber = body.readInteger('the serial number');
  if (serialNumber.length > MAX_SERIAL_LENGTH) derInvalid('the serial number has more than 20 octets');
  if (Buffer.compare(body.readRaw(Tag.sequence, 'the inner signature algorithm'), signatureAlgorithm.der) !== 0) {
    derInvalid('the signature algorithm inside differs from the one outside'); // §4.1.1.2
  }
  const issuer = readName(body, 'the issuer');
  const validity = body.enter(Tag.sequence, 'the validity');
  const notBefore = readTime(validity, 'notBefore');
  const notAfter = readTime(validity, 'notAfter');
  validity.requireEnd('the validity');
  const subject = readName(body, 'the subject');
  const subjectPublicKeyInfo = body.readRaw(Tag.sequence, 'the public key');
  parseRawSpki(subjectPublicKeyInfo);
  const hasUniqueIds = [primitiveContext(1), primitiveContext(2)].filter(
    (tag) => body.readOptional(tag, 'a unique identifier') !== undefined,
  );
  if (hasUniqueIds.length > 0 && version === 1) derInvalid('a version 1 certificate has a unique identifier'); // §4.1.2.8
  const extensionsField = body.enterOptional(constructedContext(3), 'the extensions');
  if (extensionsField !== undefined && version !== 3) derInvalid(`a version ${version} certificate has extensions`); // §4.1.2.9
  const extensions = extensionsField === undefined ? new Map<string, Extension>() : readExtensions(extensionsField);
  extensionsField?.requireEnd('the extensions');
  body.requireEnd('TBSCertificate');

  return {
    der,
    tbs,
    version,
    serialNumber,
    issuer,
    subject,
    notBefore,
    notAfter,
    subjectPublicKeyInfo,
    signatureAlgorithm,
    signature,
    extensions,
    ...readKnownExtensions(extensions),
  };
}

/** §4.1.2.1: DEFAULT v1; an encoded default passes as little as an unknown version. */
function readVersion(body: DerReader): 1 | 2 | 3 {
  const field = body.enterOptional(constructedContext(0), 'the version');
  if (field === undefined) return 1;
  const value = field.readSmallInteger('the version');
  field.requireEnd('the version');
  if (value === 1) return 2;
  if (value === 2) return 3;
  return derInvalid(`the version is ${value}, not 1 or 2 (which mean version 2 and 3)`);
}

function readName(body: DerReader, what: string): Uint8Array {
  const name = body.readRaw(Tag.sequence, what);
  parseName(name);
  return name;
}

function readKnownExtensions(extensions: ReadonlyMap<string, Extension>) {
  const basic = extensions.get(OID.basicConstraints);
  const usage = extensions.get(OID.keyUsage);
  const purposes = extensions.get(OID.extKeyUsage);
  const altName = extensions.get(OID.subjectAltName);
  const subjectKey = extensions.get(OID.subjectKeyIdentifier);
  const authorityKey = extensions.get(OID.authorityKeyIdentifier);
  const { names, uriNames, dnsNames } = altName ? parseSubjectAltName(altName.value) : NO_NAMES;
  const subjectKeyId = subjectKey && readSubjectKeyId(subjectKey.value);
  const authorityKeyId = authorityKey && parseAuthorityKeyId(authorityKey.value);
  return {
    ...(basic === undefined ? { isCa: false } : parseBasicConstraints(basic.value)),
    ...(usage && { keyUsage: parseKeyUsage(usage.value) }),
    ...(purposes && { extendedKeyUsage: parseExtendedKeyUsage(purposes.value) }),
    subjectAltNames: names,
    uriNames,
    dnsNames,
    ...(subjectKeyId && { subjectKeyId }),
    ...(authorityKeyId && { authorityKeyId }),
  };
}

const NO_NAMES = { names: [], uriNames: [], dnsNames: [] };

function readSubjectKeyId(value: Uint8Array): Uint8Array {
  const reader = new DerReader(value);
  const keyId = reader.read(Tag.octetString, 'subjectKeyIdentifier');
  reader.requireEnd('subjectKeyIdentifier');
  return keyId;
}
