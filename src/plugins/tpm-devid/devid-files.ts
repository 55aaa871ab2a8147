import { type Certificate, isSpiffeError, readCapped, SpiffeError } from '../../plugin-sdk/index.ts';
import { type PublicArea, parsePublic } from '../../tpm/public-area.ts';
import { spkiOfPublicArea } from '../../tpm/public-key.ts';
import { sized } from '../../tpm/tpm-writer.ts';
import { parseCertificate } from '../../x509/certificate.ts';
import { decodePem } from '../../x509/pem.ts';
import { canonicalSpki } from '../../x509/spki.ts';
import type { DevidAgentConfig } from './agent-config.ts';
import { type DevidPayload, MAX_CERTIFICATES } from './messages.ts';

/** What "assayer tpm devid", SPIRE's provisioning tool or tpm2-tools wrote for this node. */
export interface DevidFiles {
  /** DER, the DevID's own first. */
  readonly certificates: DevidPayload['devidCertificates'];
  readonly certificate: Certificate;
  /** TPM2B_PUBLIC. */
  readonly publicArea: Uint8Array;
  /** TPM2B_PRIVATE. */
  readonly privateArea: Uint8Array;
}

type Paths = Pick<DevidAgentConfig, 'devid_cert_path' | 'devid_priv_path' | 'devid_pub_path'>;

/** Larger than the TPM2B_PRIVATE of any RSA key. */
const MAX_PRIVATE_BYTES = 4096;

/** @throws SpiffeError `CONFIG_INVALID`, naming the setting and the file */
export async function readDevidFiles({ devid_cert_path, devid_priv_path, devid_pub_path }: Paths): Promise<DevidFiles> {
  const [certificateFile, privateFile, publicFile] = await Promise.all([
    readCapped('devid_cert_path', devid_cert_path),
    readCapped('devid_priv_path', devid_priv_path),
    readCapped('devid_pub_path', devid_pub_path),
  ]);
  const { certificates, certificate } = explained('devid_cert_path', devid_cert_path, () => readChain(certificateFile));
  const publicArea = toSized(publicFile);
  const area = explained('devid_pub_path', devid_pub_path, () => readArea(publicArea));
  const privateArea = explained('devid_priv_path', devid_priv_path, () => readPrivate(privateFile));
  if (Buffer.compare(spkiOfPublicArea(area), canonicalSpki(certificate.subjectPublicKeyInfo)) !== 0) {
    throw invalid(
      `devid_cert_path: the certificate in "${devid_cert_path}" is for another key than the one in "${devid_pub_path}"`,
    );
  }
  return { certificates, certificate, publicArea, privateArea };
}

function readChain(content: Uint8Array): Pick<DevidFiles, 'certificates' | 'certificate'> {
  const [first, ...others] = decodePem(Buffer.from(content).toString('latin1'), 'CERTIFICATE');
  if (first === undefined) throw invalid('it holds no PEM block "CERTIFICATE"');
  if (others.length >= MAX_CERTIFICATES) {
    throw invalid(`it holds ${others.length + 1} certificates, servers read ${MAX_CERTIFICATES}`);
  }
  const [certificate] = [first, ...others].map(parseCertificate);
  if (certificate === undefined) throw invalid('it holds no certificate');
  return { certificates: [first, ...others], certificate };
}

function readArea(publicArea: Uint8Array): PublicArea {
  const area = parsePublic(publicArea);
  if (area.scheme === undefined) throw invalid('the key has no signing scheme: make one with "assayer tpm devid"');
  return area;
}

function readPrivate(content: Uint8Array): Uint8Array {
  if (content.length === 0) throw invalid('it is empty');
  if (content.length > MAX_PRIVATE_BYTES) throw invalid(`it has ${content.length} bytes, no private blob is so large`);
  return toSized(content);
}

/** SPIRE's tools leave out the length with which a TPM2B begins, tpm2-tools write it. */
function toSized(content: Uint8Array): Uint8Array {
  const [high = 0, low = 0] = content;
  return high * 256 + low === content.length - 2 ? content : sized(content);
}

function explained<T>(key: string, path: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    if (!isSpiffeError(cause)) throw cause;
    throw new SpiffeError('CONFIG_INVALID', `${key}: "${path}": ${cause.message}`, { cause });
  }
}

function invalid(message: string): SpiffeError {
  return new SpiffeError('CONFIG_INVALID', message);
}
