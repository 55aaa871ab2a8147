import type { ExtraExtension } from '../x509/certificate-template.ts';
import type { DistinguishedName, OtherAttribute } from '../x509/name.ts';

export type { ExtraExtension } from '../x509/certificate-template.ts';
export type { OtherAttribute as NamedAttribute } from '../x509/name.ts';

export interface CredentialSubject extends DistinguishedName {
  readonly extraNames?: readonly OtherAttribute[];
}

/** What may be chosen about the certificate of a server's CA. */
export interface X509CaAttributes {
  readonly subject: CredentialSubject;
  /** OIDs, dotted decimal. */
  readonly policyIdentifiers: readonly string[];
  readonly extraExtensions: readonly ExtraExtension[];
}

/** What may be chosen about an X509-SVID. */
export interface X509SvidAttributes {
  readonly subject: CredentialSubject;
  readonly dnsNames: readonly string[];
  readonly extraExtensions: readonly ExtraExtension[];
}

/** What may be chosen about a JWT-SVID. */
export interface JwtSvidAttributes {
  /** As in JSON. */
  readonly claims: Readonly<Record<string, unknown>>;
}
