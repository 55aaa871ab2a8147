import { DerReader, derInvalid, oid, parseDer, sequence, setOf, Tag, tlv, utf8String } from './der.ts';
import { decodeString } from './der-string.ts';
import { OID } from './oids.ts';

type Values = string | readonly string[];

/** A distinguished name by attribute; encoded in this order, several values of one attribute in one RDN. */
export interface DistinguishedName {
  readonly country?: Values;
  readonly organization?: Values;
  readonly organizationalUnit?: Values;
  readonly locality?: Values;
  readonly province?: Values;
  readonly streetAddress?: Values;
  readonly postalCode?: Values;
  readonly commonName?: string;
  readonly serialNumber?: string;
}

/** One that {@link DistinguishedName} has no field for. */
export interface OtherAttribute {
  /** Dotted decimal. */
  readonly oid: string;
  readonly value: string;
}

const MAX_OTHER_CHARACTERS = 256;

/** Wire order and upper bounds in characters. Source: RFC 5280 appendix A.1. */
const ATTRIBUTES = [
  ['country', OID.countryName, 2],
  ['organization', OID.organizationName, 64],
  ['organizationalUnit', OID.organizationalUnitName, 64],
  ['locality', OID.localityName, 128],
  ['province', OID.stateOrProvinceName, 128],
  ['streetAddress', OID.streetAddress, 128],
  ['postalCode', OID.postalCode, 40],
  ['commonName', OID.commonName, 64],
  ['serialNumber', OID.serialNumber, 64],
] as const;
const PRINTABLE = /^[A-Za-z0-9 '()+,\-./:=?]*$/;

/** Short names that RFC 4514 §3 fixes, and those that OpenSSL and Go print for the rest. */
const SHORT_NAMES: Readonly<Record<string, string>> = {
  [OID.commonName]: 'CN',
  [OID.localityName]: 'L',
  [OID.stateOrProvinceName]: 'ST',
  [OID.organizationName]: 'O',
  [OID.organizationalUnitName]: 'OU',
  [OID.countryName]: 'C',
  [OID.streetAddress]: 'STREET',
  [OID.domainComponent]: 'DC',
  [OID.userId]: 'UID',
  [OID.serialNumber]: 'SERIALNUMBER',
};

/**
 * PrintableString where the characters allow it, else UTF8String, so that one name has one encoding:
 * names are compared by their octets.
 *
 * @throws SpiffeError `DER_INVALID` for a value that is empty or longer than RFC 5280 allows.
 */
export function encodeName(attributes: DistinguishedName, others: readonly OtherAttribute[] = []): Uint8Array {
  const rdns = ATTRIBUTES.flatMap(([name, type, maxLength]) => {
    const values = [attributes[name] ?? []].flat();
    if (values.length === 0) return [];
    return [setOf(...values.map((value) => encodeAttribute(name, type, value, maxLength)))];
  });
  const more = others.map(({ oid: type, value }) => setOf(encodeAttribute(type, type, value, MAX_OTHER_CHARACTERS)));
  return sequence(...rdns, ...more);
}

function encodeAttribute(name: string, type: string, value: string, maxLength: number): Uint8Array {
  if (value.length === 0 || value.length > maxLength) {
    derInvalid(`${name} "${value}" has ${value.length} characters, not 1 to ${maxLength}`);
  }
  const string = PRINTABLE.test(value) ? tlv(Tag.printableString, Buffer.from(value, 'latin1')) : utf8String(value);
  return sequence(oid(type), string);
}

/**
 * The inverse of {@link encodeName}, also for names of others: what has no field is among `others`.
 *
 * @throws SpiffeError `DER_INVALID` where a value is no text
 */
export function decodeName(name: Uint8Array): {
  readonly attributes: DistinguishedName;
  readonly others: readonly OtherAttribute[];
} {
  const known = new Map<string, string[]>();
  const others: OtherAttribute[] = [];
  for (const attribute of parseName(name).flat()) {
    const { type } = attribute;
    const value = attributeText(attribute) ?? derInvalid(`the value of the attribute ${type} is no text`);
    const field = ATTRIBUTES.find(([, oidOfField]) => oidOfField === type)?.[0];
    const isSingle = field === 'commonName' || field === 'serialNumber';
    if (field === undefined || (isSingle && known.has(field))) others.push({ oid: type, value });
    else known.set(field, [...(known.get(field) ?? []), value]);
  }
  const attributes = [...known].map(([field, values]) => [
    field,
    field === 'commonName' || field === 'serialNumber' ? values[0] : values,
  ]);
  return { attributes: Object.fromEntries(attributes), others };
}

/** The name without attributes: a certificate with it has its identity in a critical SAN. RFC 5280 §4.1.2.6 */
export const EMPTY_NAME: Uint8Array = sequence();

export interface NameAttribute {
  /** Dotted decimal. */
  readonly type: string;
  /** The whole element. */
  readonly value: Uint8Array;
}

/** @returns the relative distinguished names in wire order, each with its attributes. @throws SpiffeError `DER_INVALID` */
export function parseName(name: Uint8Array): readonly (readonly NameAttribute[])[] {
  return parseDer(name, Tag.sequence, 'the name', (reader) => {
    const rdns: NameAttribute[][] = [];
    while (!reader.isAtEnd) rdns.push(readRdn(reader.enter(Tag.set, 'a relative distinguished name')));
    return rdns;
  });
}

function readRdn(reader: DerReader): NameAttribute[] {
  const attributes: NameAttribute[] = [];
  do {
    const attribute = reader.enter(Tag.sequence, 'an attribute of a name');
    const type = attribute.readOid('the type of an attribute');
    attributes.push({ type, value: attribute.readElement('the value of an attribute').der });
    attribute.requireEnd('an attribute of a name');
  } while (!reader.isAtEnd);
  return attributes;
}

/** Bytewise, which is what path building compares (RFC 5280 §7.1 allows more; issuers copy the octets). */
export function isSameName(one: Uint8Array, other: Uint8Array): boolean {
  return Buffer.compare(one, other) === 0;
}

/** Such as `CN=node,O=SPIRE,C=US`: RFC 4514 §2, last RDN first. A value that is no text is printed as `#` and hex. */
export function formatName(name: Uint8Array): string {
  return parseName(name)
    .toReversed()
    .map((rdn) => rdn.map(formatAttribute).join('+'))
    .join(',');
}

function formatAttribute(attribute: NameAttribute): string {
  const short = SHORT_NAMES[attribute.type];
  const text = short === undefined ? undefined : attributeText(attribute);
  return text === undefined
    ? `${short ?? attribute.type}=#${Buffer.from(attribute.value).toString('hex')}`
    : `${short}=${escapeValue(text)}`;
}

/** `undefined` where the value is of no string type, or has octets that its type does not allow. */
export const attributeText = ({ value }: NameAttribute): string | undefined =>
  decodeString(new DerReader(value).readElement('the value'));

/** RFC 4514 §2.4. Octets of control and format characters are written in hex, so that a name stays on its line. */
function escapeValue(text: string): string {
  return text
    .replaceAll(/[\\"+,;<>]/g, '\\$&')
    .replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (control) =>
      Buffer.from(control).toString('hex').replaceAll(/../g, '\\$&'),
    )
    .replace(/^[ #]/, '\\$&')
    .replace(/ $/, '\\ ');
}

/** The text of the first attribute of this type in the name, `undefined` where there is none or it is no text. */
export function findNameAttribute(name: Uint8Array, type: string): string | undefined {
  const found = parseName(name)
    .flat()
    .find((attribute) => attribute.type === type);
  return found && attributeText(found);
}
