import { constructedContext, DerReader, derInvalid, parseDer, primitiveContext, Tag } from './der.ts';
import { decodeIa5Name } from './der-string.ts';

export interface Extension {
  /** Dotted decimal. */
  readonly oid: string;
  readonly isCritical: boolean;
  /** The content of `extnValue`. */
  readonly value: Uint8Array;
}

/** RFC 5280 §4.2.1.3 */
export interface KeyUsage {
  readonly digitalSignature: boolean;
  readonly contentCommitment: boolean;
  readonly keyEncipherment: boolean;
  readonly dataEncipherment: boolean;
  readonly keyAgreement: boolean;
  readonly keyCertSign: boolean;
  readonly crlSign: boolean;
  readonly encipherOnly: boolean;
  readonly decipherOnly: boolean;
}

/** One name of a SAN or a name constraint. `tag` is the identifier octet, see {@link GeneralNameTag}. */
export interface GeneralName {
  readonly tag: number;
  readonly content: Uint8Array;
}

/** RFC 5280 §4.2.1.6 */
export const GeneralNameTag = {
  otherName: constructedContext(0),
  email: primitiveContext(1),
  dns: primitiveContext(2),
  x400: constructedContext(3),
  directory: constructedContext(4),
  ediParty: constructedContext(5),
  uri: primitiveContext(6),
  ip: primitiveContext(7),
  registeredId: primitiveContext(8),
} as const;
const GENERAL_NAME_TAGS: ReadonlySet<number> = new Set(Object.values(GeneralNameTag));

const MAX_EXTENSIONS = 64;
const MAX_NAMES = 1000;
const MAX_PURPOSES = 64;

/** Extensions ::= SEQUENCE SIZE (1..MAX); each OID once. @see RFC 5280 §4.1.2.9, §4.2 */
export function readExtensions(outer: DerReader): ReadonlyMap<string, Extension> {
  const reader = outer.enter(Tag.sequence, 'the extensions');
  const extensions = new Map<string, Extension>();
  if (reader.isAtEnd) derInvalid('the list of extensions is empty');
  while (!reader.isAtEnd) {
    const item = reader.enter(Tag.sequence, 'an extension');
    const oid = item.readOid('the name of an extension');
    const isCritical = item.readDefaultFalse('the criticality of an extension');
    const value = item.read(Tag.octetString, `the value of extension ${oid}`);
    item.requireEnd('an extension');
    if (extensions.has(oid)) derInvalid(`extension ${oid} occurs twice`);
    extensions.set(oid, { oid, isCritical, value });
    if (extensions.size > MAX_EXTENSIONS) derInvalid(`there are more than ${MAX_EXTENSIONS} extensions`);
  }
  return extensions;
}

/** RFC 5280 §4.2.1.9. A path length without cA is meaningless, and refused. */
export function parseBasicConstraints(value: Uint8Array): { readonly isCa: boolean; readonly pathLength?: number } {
  return parseDer(value, Tag.sequence, 'basicConstraints', (reader) => {
    const isCa = reader.readDefaultFalse('cA');
    if (reader.isAtEnd) return { isCa };
    const pathLength = reader.readSmallInteger('pathLenConstraint');
    if (!isCa) derInvalid('basicConstraints has a pathLenConstraint without cA');
    return { isCa, pathLength };
  });
}

/** RFC 5280 §4.2.1.3. Trailing zero bits pass: deployed issuers write them, against X.690 §11.2.2. */
export function parseKeyUsage(value: Uint8Array): KeyUsage {
  const outer = new DerReader(value);
  const { bytes } = outer.readBitString('keyUsage');
  outer.requireEnd('keyUsage');
  if (bytes.length > 2) derInvalid(`keyUsage has ${bytes.length} octets, more than 2`);
  const bits = ((bytes[0] ?? 0) << 8) | (bytes[1] ?? 0);
  if (bits === 0) derInvalid('keyUsage allows nothing');
  const has = (bit: number) => (bits & (0x8000 >>> bit)) !== 0;
  return {
    digitalSignature: has(0),
    contentCommitment: has(1),
    keyEncipherment: has(2),
    dataEncipherment: has(3),
    keyAgreement: has(4),
    keyCertSign: has(5),
    crlSign: has(6),
    encipherOnly: has(7),
    decipherOnly: has(8),
  };
}

/** RFC 5280 §4.2.1.12 */
export function parseExtendedKeyUsage(value: Uint8Array): readonly string[] {
  return parseDer(value, Tag.sequence, 'extKeyUsage', (reader) => {
    const purposes: string[] = [];
    do {
      purposes.push(reader.readOid('a purpose of extKeyUsage'));
      if (purposes.length > MAX_PURPOSES) derInvalid(`extKeyUsage has more than ${MAX_PURPOSES} purposes`);
    } while (!reader.isAtEnd);
    return purposes;
  });
}

/** RFC 5280 §4.2.1.1. Only `keyIdentifier` is used; issuer and serial number, where present, are passed over. */
export function parseAuthorityKeyId(value: Uint8Array): Uint8Array | undefined {
  return parseDer(value, Tag.sequence, 'authorityKeyIdentifier', (reader) => {
    const keyId = reader.readOptional(primitiveContext(0), 'keyIdentifier');
    reader.readOptional(constructedContext(1), 'authorityCertIssuer');
    reader.readOptional(primitiveContext(2), 'authorityCertSerialNumber');
    return keyId;
  });
}

export interface SubjectAltName {
  readonly names: readonly GeneralName[];
  readonly uriNames: readonly string[];
  readonly dnsNames: readonly string[];
}

/** RFC 5280 §4.2.1.6: GeneralNames ::= SEQUENCE SIZE (1..MAX) */
export function parseSubjectAltName(value: Uint8Array): SubjectAltName {
  return parseDer(value, Tag.sequence, 'subjectAltName', (reader) => {
    const names: GeneralName[] = [];
    const uriNames: string[] = [];
    const dnsNames: string[] = [];
    do {
      const name = readGeneralName(reader);
      names.push(name);
      if (names.length > MAX_NAMES) derInvalid(`subjectAltName has more than ${MAX_NAMES} names`);
      if (name.tag === GeneralNameTag.uri) uriNames.push(decodeIa5Name(name.content, 'a URI name'));
      if (name.tag === GeneralNameTag.dns) dnsNames.push(decodeIa5Name(name.content, 'a DNS name'));
    } while (!reader.isAtEnd);
    return { names, uriNames, dnsNames };
  });
}

export function readGeneralName(reader: DerReader): GeneralName {
  const { tag, content } = reader.readElement('a name');
  if (!GENERAL_NAME_TAGS.has(tag)) derInvalid(`a name has tag 0x${tag.toString(16)}, which no GeneralName has`);
  return { tag, content };
}
