import type {
  DistinguishedName as WireName,
  X509CAAttributes as WireX509CaAttributes,
  X509SVIDAttributes as WireX509SvidAttributes,
  X509Extension,
} from '../gen/spire/plugin/server/credentialcomposer/v1/credentialcomposer.ts';
import type {
  CredentialSubject,
  ExtraExtension,
  X509CaAttributes,
  X509SvidAttributes,
} from '../spiffe/credential-attributes.ts';
import { SpiffeError } from '../spiffe/error.ts';
import { oid as encodeOid } from '../x509/der.ts';

// Attributes of credentials as they travel between a host and its composers. @see plugin-wire §8.7

export function toWireX509CaAttributes(attributes: X509CaAttributes): WireX509CaAttributes {
  return {
    subject: toWireName(attributes.subject),
    policyIdentifiers: [...attributes.policyIdentifiers],
    extraExtensions: attributes.extraExtensions.map((extension) => ({ ...extension })),
  };
}

/** @throws SpiffeError `ARGUMENT_INVALID` without a subject, or for an OID that is none */
export function fromWireX509CaAttributes(attributes: WireX509CaAttributes): X509CaAttributes {
  attributes.policyIdentifiers.forEach(requireOid);
  return {
    subject: fromWireName(attributes.subject),
    policyIdentifiers: attributes.policyIdentifiers,
    extraExtensions: attributes.extraExtensions.map(fromWireExtension),
  };
}

export function toWireX509SvidAttributes(attributes: X509SvidAttributes): WireX509SvidAttributes {
  return {
    subject: toWireName(attributes.subject),
    dnsSans: [...attributes.dnsNames],
    extraExtensions: attributes.extraExtensions.map((extension) => ({ ...extension })),
  };
}

/** @throws SpiffeError `ARGUMENT_INVALID` without a subject, or for an OID that is none */
export function fromWireX509SvidAttributes(attributes: WireX509SvidAttributes): X509SvidAttributes {
  return {
    subject: fromWireName(attributes.subject),
    dnsNames: attributes.dnsSans,
    extraExtensions: attributes.extraExtensions.map(fromWireExtension),
  };
}

/** Claims without what JSON would leave out. */
export function toWireClaims(claims: Readonly<Record<string, unknown>>): { [name: string]: unknown } {
  return Object.fromEntries(Object.entries(claims).filter(([, value]) => value !== undefined));
}

/** Attributes that may have several values. */
const MULTIPLE = [
  'country',
  'organization',
  'organizationalUnit',
  'locality',
  'province',
  'streetAddress',
  'postalCode',
] as const;

function toWireName(subject: CredentialSubject): WireName {
  const valuesOf = (name: (typeof MULTIPLE)[number]) => [subject[name] ?? []].flat();
  return {
    country: valuesOf('country'),
    organization: valuesOf('organization'),
    organizationalUnit: valuesOf('organizationalUnit'),
    locality: valuesOf('locality'),
    province: valuesOf('province'),
    streetAddress: valuesOf('streetAddress'),
    postalCode: valuesOf('postalCode'),
    serialNumber: subject.serialNumber ?? '',
    commonName: subject.commonName ?? '',
    extraNames: (subject.extraNames ?? []).map(({ oid, value }) => ({ oid, stringValue: value })),
  };
}

/** Attributes without a value are left out. */
function fromWireName(name: WireName | undefined): CredentialSubject {
  if (name === undefined) throw new SpiffeError('ARGUMENT_INVALID', 'the subject is missing');
  const { serialNumber, commonName } = name;
  const extraNames = name.extraNames.map(({ oid, stringValue }) => ({ oid: requireOid(oid), value: stringValue }));
  return {
    ...Object.fromEntries(MULTIPLE.filter((key) => name[key].length > 0).map((key) => [key, name[key]])),
    ...(serialNumber === '' ? {} : { serialNumber }),
    ...(commonName === '' ? {} : { commonName }),
    ...(extraNames.length === 0 ? {} : { extraNames }),
  };
}

function fromWireExtension({ oid, value, critical }: X509Extension): ExtraExtension {
  return { oid: requireOid(oid), value: new Uint8Array(value), critical };
}

const MAX_OID_CHARACTERS = 200;

function requireOid(text: string): string {
  if (text.length > MAX_OID_CHARACTERS) {
    throw new SpiffeError('ARGUMENT_INVALID', `an OID has ${text.length} characters, more than ${MAX_OID_CHARACTERS}`);
  }
  try {
    encodeOid(text);
    return text;
  } catch (cause) {
    throw new SpiffeError('ARGUMENT_INVALID', `${JSON.stringify(text)} is not an OID`, { cause });
  }
}
