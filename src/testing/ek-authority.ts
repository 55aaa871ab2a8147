import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { type Certificate, parseCertificate } from '../x509/certificate.ts';
import {
  bitString,
  boolean,
  explicit,
  octetString,
  oid,
  sequence,
  setOf,
  Tag,
  tlv,
  unsignedInteger,
  utf8String,
} from '../x509/der.ts';
import { encodeTime } from '../x509/der-time.ts';
import { TCG_OID } from '../x509/ek-certificate.ts';
import { encodeName } from '../x509/name.ts';
import { OID } from '../x509/oids.ts';
import { parseSpki, subjectKeyIdOfSpki } from '../x509/spki.ts';
import { CertificateFiles, encodeCertificatesPem } from './certificate-files.ts';

/** What an EK certificate may have wrong; by default it follows the TCG profile. */
export interface EkCertificateOptions {
  readonly serial?: number;
  readonly notBefore?: Date;
  readonly notAfter?: Date;
  /** Undefined leaves the extension out. */
  readonly extendedKeyUsage?: readonly string[] | undefined;
  readonly isCa?: boolean;
  /** The first octet of the BIT STRING: 0x20 keyEncipherment, 0x08 keyAgreement, 0x04 keyCertSign. */
  readonly keyUsageBits?: number;
  /** Attributes of the directoryName, by OID. */
  readonly tpm?: Readonly<Record<string, string>>;
  readonly criticalExtension?: string;
}

export interface AuthorityOptions {
  readonly name?: string;
  readonly isCa?: boolean;
  readonly pathLength?: number;
  readonly keyUsageBits?: number;
  readonly notAfter?: Date;
}

const ECDSA_SHA256 = sequence(oid(OID.ecdsaWithSha256));
const LONG_AGO = new Date('2020-01-01T00:00:00Z');
/** RFC 5280 §4.1.2.5: no known end. */
const FOREVER = new Date('9999-12-31T23:59:59Z');
const KEY_ENCIPHERMENT = 0x20;
const KEY_AGREEMENT = 0x08;
const CERT_AND_CRL_SIGN = 0x06;
export const TPM_NAMES = {
  [TCG_OID.tpmManufacturer]: 'id:494E5443',
  [TCG_OID.tpmModel]: 'Test TPM',
  [TCG_OID.tpmVersion]: 'id:00020003',
};

/**
 * A throwaway CA as a maker of TPMs has: it certifies endorsement keys, lower CAs, and what it revoked. It lives in memory;
 * disposing removes the files that it was asked to write.
 */
export class EkAuthority implements AsyncDisposable {
  readonly certificate: Certificate;
  readonly #key: KeyObject;
  readonly #files = new CertificateFiles();

  private constructor(certificate: Uint8Array, key: KeyObject) {
    this.certificate = parseCertificate(certificate);
    this.#key = key;
  }

  static root(options: AuthorityOptions = {}): EkAuthority {
    const { privateKey, spki } = generateKey();
    const name = encodeName({ commonName: options.name ?? 'TPM root' });
    const tbs = caTbs(name, name, spki, spki, options);
    return new EkAuthority(signed(tbs, privateKey), privateKey);
  }

  issueAuthority(options: AuthorityOptions = {}): EkAuthority {
    const { privateKey, spki } = generateKey();
    const name = encodeName({ commonName: options.name ?? 'TPM issuer' });
    const { subject, subjectPublicKeyInfo } = this.certificate;
    return new EkAuthority(signed(caTbs(subject, name, subjectPublicKeyInfo, spki, options), this.#key), privateKey);
  }

  /** @param spki of the endorsement key, in whatever form it shall have in the certificate */
  issueEkCertificate(spki: Uint8Array, options: EkCertificateOptions = {}): Uint8Array {
    const isRsa = parseSpki(spki).type === 'rsa';
    const keyUsageBits = options.keyUsageBits ?? (isRsa ? KEY_ENCIPHERMENT : KEY_AGREEMENT);
    const purposes = 'extendedKeyUsage' in options ? options.extendedKeyUsage : [TCG_OID.kpEkCertificate];
    const attributes = Object.entries(options.tpm ?? TPM_NAMES).map(([type, value]) =>
      setOf(sequence(oid(type), utf8String(value))),
    );
    const directoryName = tlv(0xa4, sequence(...attributes));
    return signed(
      tbsCertificate({
        serial: options.serial ?? 0x1234,
        issuer: this.certificate.subject,
        subject: sequence(),
        notBefore: options.notBefore ?? LONG_AGO,
        notAfter: options.notAfter ?? FOREVER,
        spki,
        extensions: [
          authorityKeyId(this.certificate.subjectPublicKeyInfo),
          critical(OID.subjectAltName, sequence(directoryName)),
          critical(OID.basicConstraints, options.isCa ? sequence(boolean(true)) : sequence()),
          critical(OID.keyUsage, tlv(Tag.bitString, Uint8Array.of(0, keyUsageBits))),
          ...(purposes === undefined ? [] : [plain(OID.extKeyUsage, sequence(...purposes.map(oid)))]),
          ...(options.criticalExtension === undefined ? [] : [critical(options.criticalExtension, octetString())]),
        ],
      }),
      this.#key,
    );
  }

  /** CertificateList, version 2. */
  issueCrl(
    serials: readonly number[],
    { thisUpdate = LONG_AGO, nextUpdate = FOREVER, criticalExtension = '' } = {},
  ): Uint8Array {
    const entries = serials.map((serial) => sequence(integer(serial), encodeTime(thisUpdate)));
    const extensions =
      criticalExtension === '' ? [] : [explicit(0, sequence(critical(criticalExtension, octetString())))];
    const tbs = sequence(
      integer(1),
      ECDSA_SHA256,
      this.certificate.subject,
      encodeTime(thisUpdate),
      encodeTime(nextUpdate),
      ...(entries.length === 0 ? [] : [sequence(...entries)]),
      ...extensions,
    );
    return signed(tbs, this.#key);
  }

  /** This CA's own certificate. */
  get certificatePem(): string {
    return encodeCertificatesPem([this.certificate.der]);
  }

  /** Writes {@link certificatePem}, for `ca_path`. @returns the path */
  async writeCertificate(name = 'ek-ca.pem'): Promise<string> {
    return await this.#files.write(name, this.certificatePem);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#files[Symbol.asyncDispose]();
  }
}

interface TbsFields {
  readonly serial: number;
  readonly issuer: Uint8Array;
  readonly subject: Uint8Array;
  readonly notBefore: Date;
  readonly notAfter: Date;
  readonly spki: Uint8Array;
  readonly extensions: readonly Uint8Array[];
}

/** RFC 5280 §4.1.2 */
function tbsCertificate(fields: TbsFields): Uint8Array {
  return sequence(
    explicit(0, integer(2)),
    integer(fields.serial),
    ECDSA_SHA256,
    fields.issuer,
    sequence(encodeTime(fields.notBefore), encodeTime(fields.notAfter)),
    fields.subject,
    fields.spki,
    explicit(3, sequence(...fields.extensions)),
  );
}

function caTbs(
  issuer: Uint8Array,
  subject: Uint8Array,
  issuerSpki: Uint8Array,
  spki: Uint8Array,
  { isCa = true, pathLength, keyUsageBits = CERT_AND_CRL_SIGN, notAfter = FOREVER }: AuthorityOptions,
): Uint8Array {
  const limit = pathLength === undefined ? [] : [integer(pathLength)];
  return tbsCertificate({
    serial: 0x77,
    issuer,
    subject,
    notBefore: LONG_AGO,
    notAfter,
    spki,
    extensions: [
      authorityKeyId(issuerSpki),
      plain(OID.subjectKeyIdentifier, octetString(subjectKeyIdOfSpki(spki))),
      critical(OID.basicConstraints, isCa ? sequence(boolean(true), ...limit) : sequence()),
      critical(OID.keyUsage, tlv(Tag.bitString, Uint8Array.of(0, keyUsageBits))),
    ],
  });
}

function signed(tbs: Uint8Array, key: KeyObject): Uint8Array {
  return sequence(tbs, ECDSA_SHA256, bitString(sign('sha256', tbs, key)));
}

function generateKey(): { readonly privateKey: KeyObject; readonly spki: Uint8Array } {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  return { privateKey, spki: new Uint8Array(publicKey.export({ type: 'spki', format: 'der' })) };
}

function authorityKeyId(spki: Uint8Array): Uint8Array {
  return plain(OID.authorityKeyIdentifier, sequence(tlv(0x80, subjectKeyIdOfSpki(spki))));
}

function critical(type: string, value: Uint8Array): Uint8Array {
  return sequence(oid(type), boolean(true), octetString(value));
}

function plain(type: string, value: Uint8Array): Uint8Array {
  return sequence(oid(type), octetString(value));
}

function integer(value: number): Uint8Array {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return unsignedInteger(bytes);
}
