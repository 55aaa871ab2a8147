import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import {
  type Certificate,
  decodePem,
  isSpiffeError,
  parseCertificate,
  readCapped,
  type Signer,
  SpiffeError,
  signerOfKeyObject,
} from '../../plugin-sdk/index.ts';
import type { UpstreamDiskConfig } from './config.ts';

import { requireUsable } from './require-usable.ts';

/** A CA that lies on disk, ready to sign. */
export interface DiskAuthority {
  readonly signer: Signer;
  readonly certificate: Certificate;
  /** What leads from a CA that it signs to a root: the certificate and what is above it; empty where it is a root. */
  readonly chain: readonly Certificate[];
  readonly roots: readonly Certificate[];
}

const MAX_CERTIFICATES = 100;

/** @throws SpiffeError `CONFIG_INVALID`, naming the setting and the file; nothing of the key is in it */
export async function readAuthority(config: UpstreamDiskConfig, trustDomain: string): Promise<DiskAuthority> {
  const certificates = await readCertificates('cert_file_path', config.cert_file_path);
  const signer = await readSigner(config.key_file_path);
  const [certificate] = certificates;
  if (certificate === undefined) throw new SpiffeError('CONFIG_INVALID', 'cert_file_path: no certificate');
  const authority =
    config.bundle_file_path === undefined
      ? selfSigned(signer, certificates, certificate)
      : below(signer, certificates, certificate, await readCertificates('bundle_file_path', config.bundle_file_path));
  await requireUsable(authority, config, trustDomain);
  return authority;
}

function selfSigned(signer: Signer, certificates: readonly Certificate[], certificate: Certificate): DiskAuthority {
  const { length } = certificates;
  if (length > 1) {
    throw invalid(
      `cert_file_path: it holds ${length} certificates: without bundle_file_path it must hold one, which signed itself`,
    );
  }
  const parsed = new X509Certificate(certificate.der);
  if (Buffer.compare(certificate.subject, certificate.issuer) !== 0 || !parsed.verify(parsed.publicKey)) {
    throw invalid('cert_file_path: the certificate did not sign itself: give the roots above it in bundle_file_path');
  }
  return { signer, certificate, chain: [], roots: [certificate] };
}

function below(
  signer: Signer,
  certificates: readonly Certificate[],
  certificate: Certificate,
  roots: readonly Certificate[],
): DiskAuthority {
  const notCa = roots.findIndex(({ isCa }) => !isCa);
  if (notCa >= 0) throw invalid(`bundle_file_path: certificate ${notCa + 1} is no CA by its basicConstraints`);
  const isRoot = ({ der }: Certificate) => roots.some((root) => Buffer.compare(root.der, der) === 0);
  return { signer, certificate, chain: certificates.filter((one) => !isRoot(one)), roots };
}

async function readCertificates(key: string, path: string): Promise<readonly Certificate[]> {
  const text = (await readCapped(key, path)).toString('latin1');
  try {
    const blocks = decodePem(text, 'CERTIFICATE');
    if (blocks.length === 0) throw invalid('it holds no PEM block "CERTIFICATE"');
    if (blocks.length > MAX_CERTIFICATES) {
      throw invalid(`it holds ${blocks.length} certificates, more than ${MAX_CERTIFICATES}`);
    }
    return blocks.map(parseCertificate);
  } catch (cause) {
    if (!isSpiffeError(cause)) throw cause;
    throw invalid(`${key}: "${path}": ${cause.message}`, cause);
  }
}

async function readSigner(path: string): Promise<Signer> {
  const text = (await readCapped('key_file_path', path)).toString('latin1');
  try {
    return signerOfKeyObject(parseKey(text));
  } catch (cause) {
    if (!isSpiffeError(cause)) throw cause;
    throw invalid(`key_file_path: "${path}": ${cause.message}`, cause);
  }
}

function parseKey(text: string): KeyObject {
  if (/-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED/m.test(text)) {
    throw invalid('the key is encrypted: store it in clear, readable by the server alone');
  }
  if (!/-----BEGIN (RSA |EC )?PRIVATE KEY-----/.test(text)) throw invalid('it holds no PEM block "PRIVATE KEY"');
  try {
    return createPrivateKey(text);
  } catch {
    throw invalid('its private key does not parse'); // OpenSSL's reason might tell of the key
  }
}

function invalid(message: string, cause?: unknown): SpiffeError {
  return new SpiffeError('CONFIG_INVALID', message, { cause });
}
