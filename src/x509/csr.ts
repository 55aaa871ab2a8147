import { SpiffeError } from '../spiffe/error.ts';
import { generalNames, optional } from './certificate-template.ts';
import {
  bitString,
  constructedContext,
  type DerReader,
  derInvalid,
  oid,
  parseDer,
  sequence,
  setOf,
  Tag,
  tlv,
} from './der.ts';
import { parseSubjectAltName, readExtensions } from './extensions.ts';
import { EMPTY_NAME, parseName } from './name.ts';
import { OID } from './oids.ts';
import {
  readSignatureAlgorithm,
  signatureAlgorithmDer,
  verifySignature,
  verifySignatureAside,
} from './signature-algorithm.ts';
import { type Signer, signMessage } from './signer.ts';
import { publicKeyOfSpki } from './spki.ts';

/** What a request asks for; whether it is granted is for others to say. */
export interface CertificateRequest {
  readonly subjectPublicKeyInfo: Uint8Array;
  /** Name element. */
  readonly subject: Uint8Array;
  readonly uriNames: readonly string[];
  readonly dnsNames: readonly string[];
}

const MAX_CSR_LENGTH = 32 * 1024;
const MAX_ATTRIBUTES = 16;
const EXTENSION_REQUEST = oid(OID.extensionRequest);
const SUBJECT_ALT_NAME = oid(OID.subjectAltName);
const VERSION_1 = Uint8Array.of(Tag.integer, 1, 0);

/**
 * Parses a certification request and checks that it was signed by the key it holds.
 *
 * @param der exactly one CertificationRequest, at most 32 KiB.
 * @throws SpiffeError `CSR_INVALID`
 * @see RFC 2986 §4.1, §4.2
 */
export function parseCsr(der: Uint8Array): CertificateRequest {
  try {
    const { request, proof } = readCsr(der);
    return requireProof(request, verifySignature(...proof));
  } catch (error) {
    throw csrInvalid(error);
  }
}

/** As {@link parseCsr}, with the signature checked on another thread. */
export async function parseCsrAside(der: Uint8Array): Promise<CertificateRequest> {
  try {
    const { request, proof } = readCsr(der);
    return requireProof(request, await verifySignatureAside(...proof));
  } catch (error) {
    throw csrInvalid(error);
  }
}

interface ReadCsr {
  readonly request: CertificateRequest;
  /** What shows that the requester holds the key. */
  readonly proof: Parameters<typeof verifySignature>;
}

function readCsr(der: Uint8Array): ReadCsr {
  if (der.length > MAX_CSR_LENGTH) derInvalid(`it has ${der.length} octets, more than ${MAX_CSR_LENGTH}`);
  return parseDer(new Uint8Array(der), Tag.sequence, 'CertificationRequest', readRequest);
}

function requireProof(request: CertificateRequest, isProved: boolean): CertificateRequest {
  if (!isProved) derInvalid('it is not signed by the key that it holds');
  return request;
}

function csrInvalid(error: unknown): unknown {
  if (!(error instanceof SpiffeError)) return error;
  return new SpiffeError('CSR_INVALID', `the CSR cannot be used: ${error.message}`, { cause: error });
}

function readRequest(reader: DerReader): ReadCsr {
  const info = reader.readRaw(Tag.sequence, 'CertificationRequestInfo');
  const algorithm = readSignatureAlgorithm(reader);
  const signature = reader.readOctetsInBitString('the signature');
  const body = reader.nested(info).enter(Tag.sequence, 'CertificationRequestInfo');
  const version = body.readSmallInteger('the version');
  if (version !== 0) derInvalid(`the version is ${version}, not 0 (which means version 1)`);
  const subject = body.readRaw(Tag.sequence, 'the subject');
  parseName(subject);
  const subjectPublicKeyInfo = body.readRaw(Tag.sequence, 'the public key');
  const names = readRequestedNames(body.enter(constructedContext(0), 'the attributes'));
  body.requireEnd('CertificationRequestInfo');
  const proof = [algorithm, publicKeyOfSpki(subjectPublicKeyInfo), info, signature] as const;
  return { request: { subjectPublicKeyInfo, subject, ...names }, proof: [...proof] };
}

/** The SAN of the one extensionRequest attribute there may be; other attributes are passed over. */
function readRequestedNames(reader: DerReader): Pick<CertificateRequest, 'uriNames' | 'dnsNames'> {
  const seen = new Set<string>();
  let names: Pick<CertificateRequest, 'uriNames' | 'dnsNames'> = { uriNames: [], dnsNames: [] };
  while (!reader.isAtEnd) {
    const attribute = reader.enter(Tag.sequence, 'an attribute');
    const type = attribute.readOid('the type of an attribute');
    if (seen.has(type)) derInvalid(`attribute ${type} occurs twice`);
    if (seen.add(type).size > MAX_ATTRIBUTES) derInvalid(`there are more than ${MAX_ATTRIBUTES} attributes`);
    const values = attribute.enter(Tag.set, 'the values of an attribute');
    attribute.requireEnd('an attribute');
    if (type !== OID.extensionRequest) continue;
    const altName = readExtensions(values).get(OID.subjectAltName); // RFC 2985 §5.4.2: single-valued
    values.requireEnd('extensionRequest');
    if (altName === undefined) continue;
    const { uriNames, dnsNames } = parseSubjectAltName(altName.value);
    names = { uriNames, dnsNames };
  }
  return names;
}

export interface CsrOptions {
  readonly signer: Signer;
  /** Name element. Default: empty. */
  readonly subject?: Uint8Array;
  readonly uriNames: readonly string[];
  readonly dnsNames?: readonly string[];
}

/** @returns CertificationRequest, DER. Source: RFC 2986 §4, RFC 2985 §5.4.2. @throws whatever the signer throws */
export async function createCsr({ signer, subject, uriNames, dnsNames = [] }: CsrOptions): Promise<Uint8Array> {
  const hasNames = uriNames.length + dnsNames.length > 0;
  const extensions = hasNames ? sequence(optional(SUBJECT_ALT_NAME, generalNames(uriNames, dnsNames))) : undefined;
  const info = sequence(
    VERSION_1, //                                                                     version: v1
    subject ?? EMPTY_NAME, //                                                         subject
    signer.publicKey, //                                                              subjectPKInfo
    tlv(
      constructedContext(0), //                                                     [0] IMPLICIT Attributes
      ...(extensions === undefined ? [] : [sequence(EXTENSION_REQUEST, setOf(extensions))]),
    ),
  );
  const algorithm = signatureAlgorithmDer(signer.keyType);
  return sequence(info, algorithm, bitString(await signMessage(signer, info)));
}
