import { generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto';
import type { Bundle } from '../../src/spiffe/bundle.ts';
import { emptyBundle } from '../../src/spiffe/bundle.ts';
import { parseTrustDomain, type TrustDomain } from '../../src/spiffe/trust-domain.ts';
import { issueCaCertificate } from '../../src/x509/ca-template.ts';
import { type Certificate, parseCertificate } from '../../src/x509/certificate.ts';
import {
  authorityKeyIdExtension,
  critical,
  generalNames,
  optional,
  signCertificate,
  subjectKeyIdExtension,
} from '../../src/x509/certificate-template.ts';
import { boolean, constructedContext, oid, primitiveContext, sequence, tlv } from '../../src/x509/der.ts';
import { encodeName } from '../../src/x509/name.ts';
import { OID } from '../../src/x509/oids.ts';
import { type Signer, signerOfKeyObject } from '../../src/x509/signer.ts';
import { subjectKeyIdOfSpki } from '../../src/x509/spki.ts';

const HOUR_MS = 3_600_000;

/** What `tls-identity.ts` calls a `TlsIdentity`. */
export interface TestSvid {
  /** DER, leaf first; without the root. */
  readonly certificates: readonly Uint8Array[];
  readonly privateKey: KeyObject;
}

export interface TestSvidOptions {
  readonly spiffeId: string;
  /** Of a key that is elsewhere; `privateKey` of the result is then another. */
  readonly publicKey?: Uint8Array;
  readonly notBefore?: Date;
  readonly notAfter?: Date;
  readonly isCa?: boolean;
  readonly extendedKeyUsage?: readonly string[];
  /** A critical extension that nobody knows. */
  readonly unknownCritical?: boolean;
}

/** A CA of a trust domain that issues X.509-SVIDs, also ones that no good CA would. */
export class TestAuthority {
  readonly trustDomain: TrustDomain;
  readonly certificate: Certificate;
  readonly #signer: Signer;
  /** From this CA up, without the root. */
  readonly #intermediates: readonly Uint8Array[];

  private constructor(
    trustDomain: TrustDomain,
    certificate: Certificate,
    signer: Signer,
    intermediates: readonly Uint8Array[],
  ) {
    this.trustDomain = trustDomain;
    this.certificate = certificate;
    this.#signer = signer;
    this.#intermediates = intermediates;
  }

  static async create(trustDomain = 'example.org', organization = 'Root'): Promise<TestAuthority> {
    const signer = newSigner();
    const certificate = await issueCaCertificate({ issuer: 'self', signer, ...caFields(trustDomain, organization) });
    return new TestAuthority(parseTrustDomain(trustDomain), parseCertificate(certificate), signer, []);
  }

  /** A CA below this one. @param permittedHost a name constraint: only URIs of this host. */
  async createIntermediate(organization = 'Intermediate', permittedHost?: string): Promise<TestAuthority> {
    const signer = newSigner();
    const { subject, ...fields } = caFields(this.trustDomain, organization);
    const der = await signCertificate(
      {
        ...fields,
        subject,
        issuer: this.certificate.subject,
        subjectPublicKeyInfo: signer.publicKey,
        extensions: [
          critical(oid(OID.keyUsage), Uint8Array.of(0x03, 0x02, 0x01, 0x06)), // keyCertSign, cRLSign
          critical(oid(OID.basicConstraints), sequence(boolean(true))),
          subjectKeyIdExtension(signer.publicKey),
          authorityKeyIdExtension(subjectKeyIdOfSpki(this.#signer.publicKey)),
          ...(permittedHost === undefined ? [] : [permittedUriHost(permittedHost)]),
        ],
      },
      this.#signer,
    );
    return new TestAuthority(this.trustDomain, parseCertificate(der), signer, [der, ...this.#intermediates]);
  }

  async issue(options: TestSvidOptions): Promise<TestSvid> {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const now = Date.now();
    const leaf = await signCertificate(
      {
        serialNumber: randomSerial(),
        issuer: this.certificate.subject,
        subject: encodeName({ country: 'US', organization: 'SPIRE' }),
        subjectPublicKeyInfo: options.publicKey ?? signerOfKeyObject(privateKey).publicKey,
        notBefore: options.notBefore ?? new Date(now - HOUR_MS),
        notAfter: options.notAfter ?? new Date(now + HOUR_MS),
        extensions: this.#extensions(options),
      },
      this.#signer,
    );
    return { certificates: [leaf, ...this.#intermediates], privateKey };
  }

  #extensions({ spiffeId, isCa, extendedKeyUsage, unknownCritical }: TestSvidOptions): readonly Uint8Array[] {
    const purposes = extendedKeyUsage ?? [OID.serverAuth, OID.clientAuth];
    const keyUsage = Uint8Array.of(0x03, 0x02, ...(isCa ? [0x02, 0x8c] : [0x03, 0x88])); // digitalSignature, keyAgreement; keyCertSign
    return [
      critical(oid(OID.keyUsage), keyUsage),
      optional(oid(OID.extKeyUsage), sequence(...purposes.map(oid))),
      critical(oid(OID.basicConstraints), isCa ? sequence(boolean(true)) : sequence()),
      authorityKeyIdExtension(subjectKeyIdOfSpki(this.#signer.publicKey)),
      optional(oid(OID.subjectAltName), generalNames([spiffeId], [])),
      ...(unknownCritical ? [critical(oid('1.3.6.1.4.1.32473.1'), sequence())] : []), // RFC 5612: for examples
    ];
  }

  /** The bundle with this CA and `others` as its authorities. */
  bundle(...others: readonly TestAuthority[]): Bundle {
    const x509Authorities = [this, ...others].map(({ certificate }) => ({
      certificate: certificate.der,
      tainted: false,
    }));
    return { ...emptyBundle(this.trustDomain), x509Authorities };
  }
}

function newSigner(): Signer {
  return signerOfKeyObject(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey);
}

/** RFC 5280 §4.2.1.10: permittedSubtrees with one URI. */
function permittedUriHost(host: string): Uint8Array {
  const subtree = sequence(tlv(primitiveContext(6), Buffer.from(host)));
  return critical(oid(OID.nameConstraints), sequence(tlv(constructedContext(0), subtree)));
}

function caFields(trustDomain: string, organization: string) {
  return {
    trustDomain,
    subject: encodeName({ country: 'US', organization }),
    serialNumber: randomSerial(),
    notBefore: new Date(Date.now() - 2 * HOUR_MS),
    notAfter: new Date(Date.now() + 2 * HOUR_MS),
  };
}

const randomSerial = (): Uint8Array => Uint8Array.of(0x40, ...randomBytes(18));
