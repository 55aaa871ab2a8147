import type { DistinguishedName } from '../x509/name.ts';

/** An attribute of a name, for what {@link DistinguishedName} has no field. */
export interface NamedAttribute {
  /** Dotted decimal. */
  readonly oid: string;
  readonly value: string;
}

export interface CredentialSubject extends DistinguishedName {
  readonly extraNames?: readonly NamedAttribute[];
}

export interface ExtraExtension {
  /** Dotted decimal. */
  readonly oid: string;
  /** DER, what goes into the OCTET STRING. */
  readonly value: Uint8Array;
  readonly critical: boolean;
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
