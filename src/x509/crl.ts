import type { Certificate } from './certificate.ts';
import { constructedContext, DerReader, derInvalid, parseDer, Tag } from './der.ts';
import { readTime } from './der-time.ts';
import { type Extension, readExtensions } from './extensions.ts';
import { readSignatureAlgorithm, type SignatureAlgorithm, verifySignature } from './signature-algorithm.ts';
import { publicKeyOfSpki } from './spki.ts';

/** A parsed CertificateList. Its signature has not been verified: see {@link isCrlSignedBy}. */
export interface CertificateRevocationList {
  /** TBSCertList, the element that the signature covers. */
  readonly tbs: Uint8Array;
  /** Name element. */
  readonly issuer: Uint8Array;
  readonly thisUpdate: Date;
  readonly nextUpdate?: Date;
  /** Content octets of the INTEGER, lower-case hex. */
  readonly revokedSerials: ReadonlySet<string>;
  readonly signatureAlgorithm: SignatureAlgorithm;
  readonly signature: Uint8Array;
}

const MAX_CRL_LENGTH = 16 * 1024 * 1024;

/**
 * Reads one CRL in DER that is complete for its issuer: delta, indirect and partial ones have critical extensions, and
 * any critical extension refuses.
 *
 * @throws SpiffeError `DER_INVALID`
 * @see RFC 5280 §5.1, §5.2, §5.3
 */
export function parseCrl(der: Uint8Array): CertificateRevocationList {
  const copy = new Uint8Array(der);
  return parseDer(copy, Tag.sequence, 'CertificateList', readCrl, MAX_CRL_LENGTH);
}

function readCrl(reader: DerReader): CertificateRevocationList {
  const tbs = reader.readRaw(Tag.sequence, 'TBSCertList');
  const signatureAlgorithm = readSignatureAlgorithm(reader);
  const signature = reader.readOctetsInBitString('the signature of the CRL');

  const body = new DerReader(tbs).enter(Tag.sequence, 'TBSCertList');
  if (body.peekTag() === Tag.integer && body.readSmallInteger('the version of the CRL') !== 1) {
    derInvalid('the CRL is neither version 1 nor version 2');
  }
  if (Buffer.compare(body.readRaw(Tag.sequence, 'the inner signature algorithm'), signatureAlgorithm.der) !== 0) {
    derInvalid('the signature algorithm inside the CRL differs from the one outside'); // §5.1.1.2
  }
  const issuer = body.readRaw(Tag.sequence, 'the issuer of the CRL');
  const thisUpdate = readTime(body, 'thisUpdate');
  const hasNextUpdate = body.peekTag() === Tag.utcTime || body.peekTag() === Tag.generalizedTime;
  const nextUpdate = hasNextUpdate ? readTime(body, 'nextUpdate') : undefined;
  const revokedSerials = new Set<string>();
  const entries = body.enterOptional(Tag.sequence, 'revokedCertificates');
  while (entries !== undefined && !entries.isAtEnd) {
    revokedSerials.add(readRevokedSerial(entries));
  }
  const extensions = body.enterOptional(constructedContext(0), 'the extensions of the CRL');
  if (extensions !== undefined) {
    requireNoneCritical(readExtensions(extensions), 'the CRL');
    extensions.requireEnd('the extensions of the CRL');
  }
  body.requireEnd('TBSCertList');
  return { tbs, issuer, thisUpdate, ...(nextUpdate && { nextUpdate }), revokedSerials, signatureAlgorithm, signature };
}

function readRevokedSerial(entries: DerReader): string {
  const entry = entries.enter(Tag.sequence, 'an entry of the CRL');
  const serialNumber = entry.readInteger('the serial number in the CRL');
  readTime(entry, 'revocationDate');
  if (!entry.isAtEnd) {
    requireNoneCritical(readExtensions(entry), 'an entry of the CRL');
    entry.requireEnd('an entry of the CRL');
  }
  return Buffer.from(serialNumber).toString('hex');
}

function requireNoneCritical(extensions: ReadonlyMap<string, Extension>, where: string): void {
  for (const { oid, isCritical } of extensions.values()) {
    if (isCritical) derInvalid(`${where} has a critical extension ${oid}: only complete CRLs are supported`);
  }
}

/** Tells whether this CA signed the CRL, and may: RFC 5280 §6.3.3 (f), (g). */
export function isCrlSignedBy(crl: CertificateRevocationList, issuer: Certificate): boolean {
  if (Buffer.compare(crl.issuer, issuer.subject) !== 0 || issuer.keyUsage?.crlSign === false) {
    return false;
  }
  const key = publicKeyOfSpki(issuer.subjectPublicKeyInfo);
  return verifySignature(crl.signatureAlgorithm, key, crl.tbs, crl.signature);
}
