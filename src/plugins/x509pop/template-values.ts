import { attributeText, type Certificate, OID, parseName, type TrustDomain } from '../../plugin-sdk/index.ts';
import { decimalSerialNumber, fingerprintOf, hexSerialNumber, ipNamesOf } from './certificate-facts.ts';

/** What an `agent_path_template` may name: SPIRE's own values, and those of Go's x509.Certificate that name somebody. */
export const TEMPLATE_FIELDS = [
  ...['PluginName', 'TrustDomain', 'Fingerprint', 'SerialNumberHex', 'SVIDPathTrimmed', 'URISanSelectors'],
  ...['Subject', 'Issuer', 'SerialNumber', 'DNSNames', 'IPAddresses'],
];
/** Paths by nature. */
export const TEMPLATE_PATHS = ['SVIDPathTrimmed', 'URISanSelectors'];

export interface ProvedNode {
  readonly trustDomain: TrustDomain;
  readonly leaf: Certificate;
  /** Empty outside of the mode `spiffe`. */
  readonly svidPathTrimmed: string;
  readonly uriSanSelectors: ReadonlyMap<string, string>;
}

export function templateValues({ trustDomain, leaf, svidPathTrimmed, uriSanSelectors }: ProvedNode) {
  return {
    PluginName: 'x509pop',
    TrustDomain: trustDomain,
    Fingerprint: fingerprintOf(leaf),
    SerialNumberHex: hexSerialNumber(leaf),
    SVIDPathTrimmed: svidPathTrimmed,
    URISanSelectors: Object.fromEntries(uriSanSelectors),
    Subject: nameValues(leaf.subject),
    Issuer: nameValues(leaf.issuer),
    SerialNumber: decimalSerialNumber(leaf),
    DNSNames: leaf.dnsNames,
    IPAddresses: ipNamesOf(leaf),
  };
}

const LISTS = {
  Country: OID.countryName,
  Organization: OID.organizationName,
  OrganizationalUnit: OID.organizationalUnitName,
  Locality: OID.localityName,
  Province: OID.stateOrProvinceName,
  StreetAddress: OID.streetAddress,
  PostalCode: OID.postalCode,
} as const;

/** As Go reads a name: lists, and the last one of what there is once. */
function nameValues(name: Uint8Array) {
  const attributes = parseName(name).flat();
  const textsOf = (type: string) =>
    attributes.flatMap((attribute) => (attribute.type === type ? [attributeText(attribute) ?? ''] : []));
  const lists = Object.entries(LISTS).map(([field, type]) => [field, textsOf(type)] as const);
  return {
    ...Object.fromEntries(lists),
    CommonName: textsOf(OID.commonName).at(-1) ?? '',
    SerialNumber: textsOf(OID.serialNumber).at(-1) ?? '',
  };
}

export function commonNameOf(name: Uint8Array): string {
  return nameValues(name).CommonName;
}
