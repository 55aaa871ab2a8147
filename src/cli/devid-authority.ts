import { createPrivateKey, type KeyObject } from 'node:crypto';
import { isSpiffeError, SpiffeError } from '../spiffe/error.ts';
import { type Certificate, parseCertificate } from '../x509/certificate.ts';
import { critical, issuerPartsOf, signCertificate, subjectKeyIdExtension } from '../x509/certificate-template.ts';
import { verifyChain } from '../x509/chain.ts';
import { oid, sequence } from '../x509/der.ts';
import { isSameName } from '../x509/name.ts';
import { OID } from '../x509/oids.ts';
import { decodePem } from '../x509/pem.ts';
import { randomSerialNumber } from '../x509/serial-number.ts';
import { signerOfKeyObject } from '../x509/signer.ts';
import { readInputBytes } from './read-input-file.ts';

/** A certificate authority of a small site, which lies in two files. */
export interface DevidAuthority {
  /** The CA's own first, then what is above it. */
  readonly certificates: readonly [Certificate, ...Certificate[]];
  readonly key: KeyObject;
}

const MAX_FILE_BYTES = 1024 * 1024;
const MAX_CERTIFICATES = 7;
/** The clock of a server may be a little behind. */
const BACKDATE_MS = 10_000;

/** @throws SpiffeError `FILE_UNUSABLE`, naming flag and file; nothing of the key is in it */
export async function readDevidAuthority(certificatePath: string, keyPath: string): Promise<DevidAuthority> {
  const certificateText = (await readInputBytes(certificatePath, MAX_FILE_BYTES)).toString('latin1');
  const keyText = (await readInputBytes(keyPath, MAX_FILE_BYTES)).toString('latin1');
  const [first, ...others] = explained(`-caCert: "${certificatePath}"`, () =>
    decodePem(certificateText, 'CERTIFICATE').map(parseCertificate),
  );
  if (first === undefined) {
    throw new SpiffeError('FILE_UNUSABLE', `-caCert: "${certificatePath}" holds no PEM block "CERTIFICATE"`);
  }
  if (others.length >= MAX_CERTIFICATES) {
    const count = others.length + 1;
    throw new SpiffeError('FILE_UNUSABLE', `-caCert: "${certificatePath}" holds ${count} certificates: give one chain`);
  }
  return { certificates: [first, ...others], key: parseKey(keyText, keyPath) };
}

/**
 * Issues a DevID certificate, and verifies it.
 *
 * @param subject Name element
 * @returns DER, the new certificate first, without the root
 * @throws SpiffeError `ARGUMENT_INVALID` where key and certificate of the CA do not belong together, `CERTIFICATE_UNTRUSTED`
 */
export async function issueDevid(
  { certificates: [ca, ...above], key }: DevidAuthority,
  request: { readonly subject: Uint8Array; readonly subjectPublicKeyInfo: Uint8Array },
  ttlSeconds: number,
  now = new Date(),
): Promise<readonly Uint8Array[]> {
  const signer = signerOfKeyObject(key);
  const { authorityKeyId } = issuerPartsOf({ signer, certificate: ca });
  const ends = new Date(now.getTime() + ttlSeconds * 1000);
  const der = await signCertificate(
    {
      serialNumber: randomSerialNumber(),
      issuer: ca.subject,
      subject: request.subject,
      subjectPublicKeyInfo: request.subjectPublicKeyInfo,
      notBefore: new Date(now.getTime() - BACKDATE_MS),
      notAfter: ends < ca.notAfter ? ends : ca.notAfter,
      extensions: [
        critical(oid(OID.keyUsage), Uint8Array.of(0x03, 0x02, 0x07, 0x80)), // IEEE 802.1AR §8.10.4: digitalSignature
        critical(oid(OID.basicConstraints), sequence()),
        subjectKeyIdExtension(request.subjectPublicKeyInfo),
        ...authorityKeyId,
      ],
    },
    signer,
  );
  verifyChain({ leaf: parseCertificate(der), intermediates: [], roots: [ca], now });
  const intermediates = [ca, ...above].filter(({ subject, issuer }) => !isSameName(subject, issuer));
  return [der, ...intermediates.map((certificate) => certificate.der)];
}

function parseKey(text: string, path: string): KeyObject {
  if (/-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED/m.test(text)) {
    throw new SpiffeError('FILE_UNUSABLE', `-caKey: the key in "${path}" is encrypted: give it in clear`);
  }
  try {
    return createPrivateKey(text);
  } catch {
    throw new SpiffeError('FILE_UNUSABLE', `-caKey: "${path}" holds no private key in PEM`); // OpenSSL's reason might tell of it
  }
}

function explained<T>(where: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    if (!isSpiffeError(cause)) throw cause;
    throw new SpiffeError('FILE_UNUSABLE', `${where}: ${cause.message}`, { cause });
  }
}
