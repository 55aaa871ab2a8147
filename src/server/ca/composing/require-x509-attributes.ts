import type { CredentialSubject, X509CaAttributes, X509SvidAttributes } from '../../../spiffe/credential-attributes.ts';
import { requireDnsName } from '../../../spiffe/dns-name.ts';
import { SpiffeError } from '../../../spiffe/error.ts';
import type { ExtraExtension } from '../../../x509/certificate-template.ts';
import { encodeName } from '../../../x509/name.ts';
import { OID } from '../../../x509/oids.ts';

const MAX_ATTRIBUTES = 64;
const MAX_DNS_NAMES = 100;
const MAX_EXTENSIONS = 32;
const MAX_EXTENSION_BYTES = 4_096;
const MAX_POLICIES = 32;

/** What makes a certificate the CA's or the identity's that it is: the server alone says that. */
const OWN_EXTENSIONS: ReadonlySet<string> = new Set([
  OID.subjectKeyIdentifier,
  OID.authorityKeyIdentifier,
  OID.keyUsage,
  OID.extKeyUsage,
  OID.subjectAltName,
  OID.basicConstraints,
  OID.nameConstraints,
]);

/** @throws SpiffeError with what cannot be used */
export function requireCaAttributes({ subject, policyIdentifiers, extraExtensions }: X509CaAttributes): void {
  encodeSubject(subject);
  requireCount('policies', policyIdentifiers, MAX_POLICIES);
  requireExtensions(extraExtensions, [OID.certificatePolicies]);
  requireUncritical(extraExtensions);
}

/**
 * @param ofWorkload such an SVID may have critical extensions, for verifiers that know them
 * @throws SpiffeError with what cannot be used
 */
export function requireSvidAttributes(
  { subject, dnsNames, extraExtensions }: X509SvidAttributes,
  { ofWorkload }: { readonly ofWorkload: boolean },
): void {
  encodeSubject(subject);
  requireCount('DNS names', dnsNames, MAX_DNS_NAMES);
  dnsNames.forEach(requireDnsName);
  requireExtensions(extraExtensions, []);
  if (!ofWorkload) requireUncritical(extraExtensions);
}

/** @returns Name element. @throws SpiffeError `ARGUMENT_INVALID`, `DER_INVALID` */
export function encodeSubject({ extraNames = [], ...subject }: CredentialSubject): Uint8Array {
  requireCount('attributes of the subject', [...Object.values(subject).flat(), ...extraNames], MAX_ATTRIBUTES);
  return encodeName(subject, extraNames);
}

function requireExtensions(extensions: readonly ExtraExtension[], ownToo: readonly string[]): void {
  requireCount('extensions', extensions, MAX_EXTENSIONS);
  const seen = new Set<string>();
  for (const { oid, value } of extensions) {
    if (OWN_EXTENSIONS.has(oid) || ownToo.includes(oid))
      throw refused(`the extension ${oid} is the server's own to write`);
    if (seen.has(oid)) throw refused(`the extension ${oid} is there twice`);
    seen.add(oid);
    if (value.length > MAX_EXTENSION_BYTES) {
      throw refused(`the extension ${oid} has ${value.length} bytes, more than ${MAX_EXTENSION_BYTES}`);
    }
  }
}

function requireUncritical(extensions: readonly ExtraExtension[]): void {
  const found = extensions.find(({ critical }) => critical);
  if (found !== undefined) {
    throw refused(`the extension ${found.oid} is critical, and nobody in the trust domain would take the certificate`);
  }
}

function requireCount(what: string, values: readonly unknown[], most: number): void {
  if (values.length > most) throw refused(`there are ${values.length} ${what}, more than ${most}`);
}

function refused(message: string): SpiffeError {
  return new SpiffeError('ARGUMENT_INVALID', message);
}
