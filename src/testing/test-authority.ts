import { generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto';
import type { Bundle } from '../spiffe/bundle.ts';
import { emptyBundle } from '../spiffe/bundle.ts';
import { parseTrustDomain, type TrustDomain } from '../spiffe/trust-domain.ts';
import { issueCaCertificate } from '../x509/ca-template.ts';
import { type Certificate, parseCertificate } from '../x509/certificate.ts';
import {
  authorityKeyIdExtension,
  critical,
  generalNames,
  optional,
  signCertificate,
  subjectKeyIdExtension,
} from '../x509/certificate-template.ts';
import { boolean, constructedContext, oid, primitiveContext, sequence, tlv } from '../x509/der.ts';
import { encodeName } from '../x509/name.ts';
import { OID } from '../x509/oids.ts';
import { type Signer, signerOfKeyObject } from '../x509/signer.ts';
import { subjectKeyIdOfSpki } from '../x509/spki.ts';
import { CertificateFiles, encodeCertificatesPem } from './certificate-files.ts';

const HOUR_MS = 3_600_000;

/** A certificate and its key. */
export class TestCredential {
  /** DER, leaf first; without the root. */
  readonly certificates: readonly Uint8Array[];
  readonly privateKey: KeyObject;

  constructor(certificates: readonly Uint8Array[], privateKey: KeyObject) {
    this.certificates = certificates;
    this.privateKey = privateKey;
  }

  /** Leaf first; without the root. */
  get certificatePem(): string {
    return encodeCertificatesPem(this.certificates);
  }

  /** PKCS#8. */
  get privateKeyPem(): string {
    return String(this.privateKey.export({ type: 'pkcs8', format: 'pem' }));
  }
}

/** A chain and its key, however they came about. */
export type TestSvid = Pick<TestCredential, 'certificates' | 'privateKey'>;

export interface TestLeafOptions {
  readonly commonName?: string;
  readonly dnsNames?: readonly string[];
  /** SubjectPublicKeyInfo (DER) of a key that is elsewhere; `privateKey` of the result is then another. */
  readonly publicKey?: Uint8Array;
  /** An hour ago by default. */
  readonly notBefore?: Date;
  /** In an hour by default. */
  readonly notAfter?: Date;
  readonly isCa?: boolean;
  readonly extendedKeyUsage?: readonly string[];
  /** A critical extension that nobody knows. */
  readonly unknownCritical?: boolean;
}

export interface TestSvidOptions extends TestLeafOptions {
  readonly spiffeId: string;
}

/**
 * A throwaway CA of a trust domain that issues X.509-SVIDs and other leaves, also ones that no good CA would. It lives in memory;
 * disposing removes the files that it was asked to write.
 */
export class TestAuthority implements AsyncDisposable {
  readonly trustDomain: TrustDomain;
  readonly certificate: Certificate;
  readonly #signer: Signer;
  /** From this CA up, without the root. */
  readonly #intermediates: readonly Uint8Array[];
  readonly #files = new CertificateFiles();

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

  /** An X.509-SVID, good but for what the options spoil. */
  async issue(options: TestSvidOptions): Promise<TestCredential> {
    return await this.#issue(options, [options.spiffeId]);
  }

  /** A leaf for a name of a host, or none: what is no SVID. */
  async issueLeaf(options: TestLeafOptions = {}): Promise<TestCredential> {
    return await this.#issue(options, []);
  }

  async #issue(options: TestLeafOptions, uriNames: readonly string[]): Promise<TestCredential> {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const { commonName } = options;
    const now = Date.now();
    const leaf = await signCertificate(
      {
        serialNumber: randomSerial(),
        issuer: this.certificate.subject,
        subject: encodeName({
          country: 'US',
          organization: 'SPIRE',
          ...(commonName === undefined ? {} : { commonName }),
        }),
        subjectPublicKeyInfo: options.publicKey ?? signerOfKeyObject(privateKey).publicKey,
        notBefore: options.notBefore ?? new Date(now - HOUR_MS),
        notAfter: options.notAfter ?? new Date(now + HOUR_MS),
        extensions: this.#extensions(options, uriNames),
      },
      this.#signer,
    );
    return new TestCredential([leaf, ...this.#intermediates], privateKey);
  }

  #extensions(
    { dnsNames = [], isCa, extendedKeyUsage, unknownCritical }: TestLeafOptions,
    uriNames: readonly string[],
  ): readonly Uint8Array[] {
    const purposes = extendedKeyUsage ?? [OID.serverAuth, OID.clientAuth];
    const keyUsage = Uint8Array.of(0x03, 0x02, ...(isCa ? [0x02, 0x8c] : [0x03, 0x88])); // digitalSignature, keyAgreement; keyCertSign
    const hasNames = uriNames.length + dnsNames.length > 0;
    return [
      critical(oid(OID.keyUsage), keyUsage),
      optional(oid(OID.extKeyUsage), sequence(...purposes.map(oid))),
      critical(oid(OID.basicConstraints), isCa ? sequence(boolean(true)) : sequence()),
      authorityKeyIdExtension(subjectKeyIdOfSpki(this.#signer.publicKey)),
      ...(hasNames ? [optional(oid(OID.subjectAltName), generalNames(uriNames, dnsNames))] : []),
      ...(unknownCritical ? [critical(oid('1.3.6.1.4.1.32473.1'), sequence())] : []), // RFC 5612: for examples
    ];
  }

  /** This CA's own certificate. */
  get certificatePem(): string {
    return encodeCertificatesPem([this.certificate.der]);
  }

  /** Writes {@link certificatePem}. @returns the path */
  async writeCertificate(name = 'ca.pem'): Promise<string> {
    return await this.#files.write(name, this.certificatePem);
  }

  /** Writes a chain and its key, both with mode 0600. @returns their paths */
  async writeCredential(
    { certificatePem, privateKeyPem }: TestCredential,
    name = 'leaf',
  ): Promise<{ readonly certificatePath: string; readonly keyPath: string }> {
    return {
      certificatePath: await this.#files.write(`${name}.pem`, certificatePem),
      keyPath: await this.#files.write(`${name}.key`, privateKeyPem),
    };
  }

  /** The bundle with this CA and `others` as its authorities. */
  bundle(...others: readonly TestAuthority[]): Bundle {
    const x509Authorities = [this, ...others].map(({ certificate }) => ({
      certificate: certificate.der,
      tainted: false,
    }));
    return { ...emptyBundle(this.trustDomain), x509Authorities };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#files[Symbol.asyncDispose]();
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
