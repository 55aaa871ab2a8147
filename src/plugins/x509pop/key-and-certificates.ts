import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import {
  canonicalSpki,
  decodePem,
  isSpiffeError,
  parseCertificate,
  readCapped,
  SpiffeError,
  WorkloadIdentity,
} from '../../plugin-sdk/index.ts';
import type { PopAgentConfig, PopFiles } from './agent-config.ts';

/** What the node shows and proves. */
export interface KeyAndCertificates {
  readonly key: KeyObject;
  /** DER, leaf first. */
  readonly certificates: readonly Uint8Array[];
}

/** An agent that starts beside the one whose Workload API this is may be quicker. */
const WAIT_FOR_SVID_MS = 30_000;

/** Read for each attestation: what renews the certificate replaces the files. @throws SpiffeError */
export async function loadKeyAndCertificates(config: PopAgentConfig, signal: AbortSignal): Promise<KeyAndCertificates> {
  if (config.kind === 'files') return await readKeyAndCertificates(config);
  using identity = await WorkloadIdentity.open({ socketPath: config.socketPath, waitMs: WAIT_FOR_SVID_MS, signal });
  const { privateKey: key, certificates } = identity.current;
  return { key, certificates };
}

/** @throws SpiffeError `CONFIG_INVALID`, naming the setting and the file; nothing of the key is in it */
export async function readKeyAndCertificates(files: PopFiles): Promise<KeyAndCertificates> {
  const [leaf, ...others] = await readCertificates('certificate_path', files.certificate_path);
  const intermediates =
    files.intermediates_path === undefined
      ? []
      : await readCertificates('intermediates_path', files.intermediates_path);
  const key = await readKey(files.private_key_path);
  if (leaf === undefined) throw invalid(`certificate_path: "${files.certificate_path}" holds no certificate`);
  const ofKey = canonicalSpki(createPublicKey(key).export({ type: 'spki', format: 'der' }));
  if (Buffer.compare(ofKey, canonicalSpki(parseCertificate(leaf).subjectPublicKeyInfo)) !== 0) {
    throw invalid(
      `certificate_path: the certificate in "${files.certificate_path}" is for another key than the one in "${files.private_key_path}"`,
    );
  }
  return { key, certificates: [leaf, ...others, ...intermediates] };
}

async function readCertificates(setting: string, path: string): Promise<readonly Uint8Array[]> {
  const text = (await readCapped(setting, path)).toString('latin1');
  try {
    const ders = decodePem(text, 'CERTIFICATE');
    for (const der of ders) parseCertificate(der);
    if (ders.length > 0) return ders;
  } catch (cause) {
    if (!isSpiffeError(cause)) throw cause;
    throw invalid(`${setting}: "${path}": ${cause.message}`, cause);
  }
  throw invalid(`${setting}: "${path}" holds no PEM block "CERTIFICATE"`);
}

async function readKey(path: string): Promise<KeyObject> {
  const text = (await readCapped('private_key_path', path)).toString('latin1');
  if (/-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED/m.test(text)) {
    throw invalid(
      `private_key_path: the key in "${path}" is encrypted: store it in clear, readable by the agent alone`,
    );
  }
  try {
    const key = createPrivateKey(text);
    if (key.asymmetricKeyType === 'rsa' || key.asymmetricKeyType === 'ec') return key;
    throw invalid(
      `private_key_path: the key in "${path}" is of type ${key.asymmetricKeyType}: x509pop has RSA and ECDSA`,
    );
  } catch (cause) {
    if (isSpiffeError(cause)) throw cause;
    throw invalid(`private_key_path: "${path}" holds no private key in PEM`); // OpenSSL's reason might tell of the key
  }
}

function invalid(message: string, cause?: unknown): SpiffeError {
  return new SpiffeError('CONFIG_INVALID', message, { cause });
}
