import { generateKeyPairSync } from 'node:crypto';
import { isSpiffeError, SpiffeError } from '../../plugin-sdk/index.ts';
import type { UpstreamDiskConfig } from './config.ts';
import type { DiskAuthority } from './read-authority.ts';
import { signCa } from './sign-ca.ts';

/** Name element without attributes. */
const NO_SUBJECT = Uint8Array.of(0x30, 0);

/**
 * Signs a CA for a key that is thrown away, and verifies it: so the key is the certificate's, the certificate a CA that may
 * have another below it, and the chain one that ends in the bundle, now.
 *
 * @throws SpiffeError `CONFIG_INVALID`
 */
export async function requireUsable(
  authority: DiskAuthority,
  config: UpstreamDiskConfig,
  trustDomain: string,
): Promise<void> {
  const { certificate, signer } = authority;
  if (Buffer.compare(certificate.subjectPublicKeyInfo, signer.publicKey) !== 0) {
    throw invalid(
      `the key in "${config.key_file_path}" is not the key of the first certificate in "${config.cert_file_path}"`,
    );
  }
  if (!certificate.isCa)
    throw invalid(`the certificate in "${config.cert_file_path}" is no CA by its basicConstraints`);
  if (certificate.pathLength === 0) {
    throw invalid(
      `the CA in "${config.cert_file_path}" allows no CA below it (pathlen:0): the server's own CA would be one`,
    );
  }
  const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const subjectPublicKeyInfo = new Uint8Array(publicKey.export({ type: 'spki', format: 'der' }));
  try {
    await signCa(authority, { subjectPublicKeyInfo, subject: NO_SUBJECT }, { trustDomain, ttlSeconds: 60 });
  } catch (cause) {
    if (!isSpiffeError(cause)) throw cause;
    const roots = config.bundle_file_path === undefined ? 'itself' : `the bundle in "${config.bundle_file_path}"`;
    throw invalid(
      `a CA signed by "${config.cert_file_path}" does not verify against ${roots}: ${cause.message}`,
      cause,
    );
  }
}

function invalid(message: string, cause?: unknown): SpiffeError {
  return new SpiffeError('CONFIG_INVALID', message, { cause });
}
