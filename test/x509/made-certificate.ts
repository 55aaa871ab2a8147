import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { type Certificate, parseCertificate } from '../../src/x509/certificate.ts';
import { critical, optional, signCertificate, subjectKeyIdExtension } from '../../src/x509/certificate-template.ts';
import { boolean, oid, sequence, unsignedInteger } from '../../src/x509/der.ts';
import { encodeName } from '../../src/x509/name.ts';
import { OID } from '../../src/x509/oids.ts';
import { type Signer, signerOfKeyObject } from '../../src/x509/signer.ts';

export const NOW = new Date('2030-06-15T12:00:00Z');
export const HOUR_MS = 3_600_000;

export const ecSigner = (namedCurve = 'P-256'): Signer =>
  signerOfKeyObject(generateKeyPairSync('ec', { namedCurve }).privateKey);

export const randomSerial = (): Uint8Array => Uint8Array.of(0x40, ...randomBytes(18));

export interface MadeOptions {
  readonly subject: string;
  readonly issuer?: Made;
  readonly signer?: Signer;
  /** Signs in the issuer's name. */
  readonly forgedBy?: Signer;
  readonly notBefore?: Date;
  readonly notAfter?: Date;
  readonly isCa?: boolean;
  readonly pathLength?: number;
  readonly extensions?: readonly Uint8Array[];
  readonly withoutSubjectKeyId?: boolean;
}

export interface Made {
  readonly certificate: Certificate;
  readonly signer: Signer;
}

/** `pathLength` in big-endian octets; cA TRUE. */
const caConstraints = (pathLength: number | undefined) =>
  critical(
    oid(OID.basicConstraints),
    sequence(boolean(true), ...(pathLength === undefined ? [] : [unsignedInteger(Uint8Array.of(pathLength))])),
  );

/** A certificate with whatever extensions a test wants; self-signed without `issuer`. */
export async function makeCertificate(options: MadeOptions): Promise<Made> {
  const signer = options.signer ?? ecSigner();
  const subject = encodeName({ organization: options.subject });
  const der = await signCertificate(
    {
      serialNumber: randomSerial(),
      issuer: options.issuer?.certificate.subject ?? subject,
      notBefore: options.notBefore ?? new Date(NOW.getTime() - HOUR_MS),
      notAfter: options.notAfter ?? new Date(NOW.getTime() + HOUR_MS),
      subject,
      subjectPublicKeyInfo: signer.publicKey,
      extensions: [
        ...(options.isCa === false ? [] : [caConstraints(options.pathLength)]),
        ...(options.withoutSubjectKeyId ? [] : [subjectKeyIdExtension(signer.publicKey)]),
        ...(options.extensions ?? []),
        optional(oid('1.3.6.1.4.1.32473.1'), sequence()), // never an empty list; the arc for examples, RFC 5612
      ],
    },
    options.forgedBy ?? options.issuer?.signer ?? signer,
  );
  return { certificate: parseCertificate(der), signer };
}
