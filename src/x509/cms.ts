import { createHash, timingSafeEqual, verify } from 'node:crypto';
import { berToDer } from './ber.ts';
import type { Certificate } from './certificate.ts';
import { constructedContext, type DerReader, derInvalid, parseDer, setOf, Tag } from './der.ts';
import { isSameName } from './name.ts';
import { OID } from './oids.ts';
import type { HashName } from './signer.ts';
import { publicKeyOfSpki } from './spki.ts';

/** Data with the signature of one signer, in it. */
export interface SignedData {
  /** The very octets that are signed. */
  readonly content: Uint8Array;
  /** DER, in the order in which they came; nothing about them is verified. */
  readonly certificates: readonly Uint8Array[];
  readonly signer: CmsSigner;
}

/** SignerInfo of version 1, which names its certificate by issuer and serial number. */
export interface CmsSigner {
  /** Name element. */
  readonly issuer: Uint8Array;
  /** Content octets of the INTEGER. */
  readonly serialNumber: Uint8Array;
  readonly hash: HashName;
  /** As DER has it, with the tag of a SET; undefined: the content itself is signed. */
  readonly signedAttributes: Uint8Array | undefined;
  /** The digest of the content, as it stands among the signed attributes. */
  readonly messageDigest: Uint8Array | undefined;
  readonly signature: Uint8Array;
}

const MAX_LENGTH = 64 * 1024;
const MAX_CERTIFICATES = 16;
const HASHES: Readonly<Record<string, HashName>> = {
  [OID.sha256]: 'sha256',
  [OID.sha384]: 'sha384',
  [OID.sha512]: 'sha512',
};
/** RFC 3370 §3.2, RFC 5754 §3.2: RSASSA-PKCS1-v1_5, with the hash named here or in the digest algorithm. */
const RSA: Readonly<Record<string, HashName | 'as digest'>> = {
  [OID.rsaEncryption]: 'as digest',
  [OID.sha256WithRsaEncryption]: 'sha256',
  [OID.sha384WithRsaEncryption]: 'sha384',
  [OID.sha512WithRsaEncryption]: 'sha512',
};

/**
 * Reads PKCS #7 or CMS SignedData over data that it contains, by one signer with an RSA key and SHA-256 or better.
 *
 * @param ber BER or DER, at most 64 KiB
 * @throws SpiffeError `DER_INVALID`, naming the first rule broken
 * @see RFC 5652 §3, §5
 */
export function parseSignedData(ber: Uint8Array): SignedData {
  const der = berToDer(ber, 'the signed data', MAX_LENGTH);
  return parseDer(der, Tag.sequence, 'ContentInfo', (info) => {
    requireOid(info.readOid('the content type'), OID.signedData, 'the content type');
    const wrapper = info.enter(constructedContext(0), 'SignedData');
    const signedData = wrapper.enter(Tag.sequence, 'SignedData');
    wrapper.requireEnd('SignedData');
    return readSignedData(signedData);
  });
}

/** Tells whether a certificate's key signed: the caller answers for whose certificate that is. */
export function isSignedWith({ content, signer }: SignedData, certificate: Certificate): boolean {
  if (!isNamed(signer, certificate)) return false;
  const digest = createHash(signer.hash).update(content).digest();
  const { messageDigest, signedAttributes, signature } = signer;
  if (signedAttributes !== undefined) {
    if (messageDigest?.length !== digest.length || !timingSafeEqual(messageDigest, digest)) return false;
  }
  const key = publicKeyOfSpki(certificate.subjectPublicKeyInfo);
  return key.asymmetricKeyType === 'rsa' && verify(signer.hash, signedAttributes ?? content, key, signature);
}

/** Tells whether it is this certificate that the signer names. */
export function isNamed({ issuer, serialNumber }: CmsSigner, certificate: Certificate): boolean {
  return isSameName(issuer, certificate.issuer) && Buffer.compare(serialNumber, certificate.serialNumber) === 0;
}

function readSignedData(reader: DerReader): SignedData {
  reader.readSmallInteger('the version of SignedData');
  reader.read(Tag.set, 'the digest algorithms'); // each signer has its own
  const content = readContent(reader.enter(Tag.sequence, 'the content'));
  const certificates = readCertificates(reader.enterOptional(constructedContext(0), 'the certificates'));
  reader.readOptional(constructedContext(1), 'the revocation lists');
  const signers = reader.enter(Tag.set, 'the signers');
  reader.requireEnd('SignedData');
  const signer = readSigner(signers.enter(Tag.sequence, 'SignerInfo'));
  signers.requireEnd('the signers, of whom one is expected');
  return { content, certificates, signer };
}

function readContent(reader: DerReader): Uint8Array {
  requireOid(reader.readOid('the type of the content'), OID.data, 'the type of the content');
  const wrapper = reader.enter(constructedContext(0), 'the content');
  const content = wrapper.read(Tag.octetString, 'the content');
  wrapper.requireEnd('the content');
  reader.requireEnd('the content');
  return content;
}

function readCertificates(reader: DerReader | undefined): readonly Uint8Array[] {
  const certificates: Uint8Array[] = [];
  while (reader?.isAtEnd === false) certificates.push(reader.readRaw(Tag.sequence, 'a certificate'));
  if (certificates.length > MAX_CERTIFICATES) {
    derInvalid(`${certificates.length} certificates in signed data are more than ${MAX_CERTIFICATES}`);
  }
  return certificates;
}

function readSigner(reader: DerReader): CmsSigner {
  const version = reader.readSmallInteger('the version of SignerInfo');
  if (version !== 1)
    derInvalid(`SignerInfo has version ${version}, not 1: it names no certificate by issuer and number`);
  const sid = reader.enter(Tag.sequence, 'the name of the signer');
  const issuer = sid.readRaw(Tag.sequence, 'the issuer of the signer');
  const serialNumber = sid.readInteger('the serial number of the signer');
  sid.requireEnd('the name of the signer');
  const digest = readAlgorithm(reader, 'the digest algorithm');
  const hash = HASHES[digest] ?? derInvalid(`the digest algorithm is ${digest}, not SHA-256, 384 or 512`);
  const attributes = reader.enterOptional(constructedContext(0), 'the signed attributes');
  const signed = attributes === undefined ? undefined : readAttributes(attributes);
  const algorithm = readAlgorithm(reader, 'the signature algorithm');
  const named = RSA[algorithm];
  if (named === undefined || (named !== 'as digest' && named !== hash)) {
    derInvalid(`the signature algorithm is ${algorithm}, not RSA with ${hash}`);
  }
  const signature = reader.read(Tag.octetString, 'the signature');
  reader.readOptional(constructedContext(1), 'the unsigned attributes');
  reader.requireEnd('SignerInfo');
  return { issuer, serialNumber, hash, signedAttributes: signed?.der, messageDigest: signed?.digest, signature };
}

/** RFC 5652 §5.3, §11: a content type and a digest, each once and with one value. */
function readAttributes(reader: DerReader): { readonly der: Uint8Array; readonly digest: Uint8Array } {
  const elements: Uint8Array[] = [];
  const values = new Map<string, Uint8Array>();
  while (!reader.isAtEnd) {
    const element = reader.readRaw(Tag.sequence, 'a signed attribute');
    elements.push(element);
    const attribute = reader.nested(element).enter(Tag.sequence, 'a signed attribute');
    const type = attribute.readOid('the type of a signed attribute');
    if (values.has(type)) derInvalid(`the signed attribute ${type} stands there twice`);
    values.set(type, attribute.read(Tag.set, `the signed attribute ${type}`));
    attribute.requireEnd(`the signed attribute ${type}`);
  }
  const only = (type: string, tag: number, what: string): Uint8Array => {
    const value = values.get(type) ?? derInvalid(`there is no ${what} among the signed attributes`);
    const single = reader.nested(value);
    const content = single.readRaw(tag, what);
    single.requireEnd(what);
    return content;
  };
  const contentType = reader.nested(only(OID.contentType, Tag.oid, 'content type')).readOid('content type');
  requireOid(contentType, OID.data, 'the signed content type');
  const digest = reader
    .nested(only(OID.messageDigest, Tag.octetString, 'message digest'))
    .read(Tag.octetString, 'message digest');
  return { der: setOf(...elements), digest };
}

/** @returns its OID; parameters are absent or NULL */
function readAlgorithm(reader: DerReader, what: string): string {
  const identifier = reader.enter(Tag.sequence, what);
  const name = identifier.readOid(what);
  if (!identifier.isAtEnd && identifier.read(Tag.null, `the parameters of ${what}`).length !== 0) {
    derInvalid(`the parameters of ${what} are no NULL`);
  }
  identifier.requireEnd(what);
  return name;
}

function requireOid(found: string, wanted: string, what: string): void {
  if (found !== wanted) derInvalid(`${what} is ${found}, not ${wanted}`);
}
