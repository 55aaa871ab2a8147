import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { decodePem, SpiffeError } from '../../plugin-sdk/index.ts';

/** RFC 6750 §2.1, and nothing that would end a header. */
const TOKEN = /^[\x21-\x7e]{1,65536}$/;

/**
 * A bearer token, a secret.
 *
 * @param where the text comes from, such as `token_path: "/run/token"`; so of all that is here
 * @throws SpiffeError `CONFIG_INVALID`, which never quotes the text; so does all that is here
 */
export function parseToken(where: string, text: string): string {
  const token = text.trim();
  if (TOKEN.test(token)) return token;
  throw new SpiffeError('CONFIG_INVALID', `${where} does not hold a token: one line of printable characters`);
}

/** PEM, one certificate at least. */
export function parseCertificates(where: string, text: string): readonly X509Certificate[] {
  try {
    const certificates = decodePem(text, 'CERTIFICATE').map((der) => new X509Certificate(der));
    if (certificates.length > 0) return certificates;
  } catch (cause) {
    throw new SpiffeError('CONFIG_INVALID', `${where} does not hold certificates in PEM`, { cause });
  }
  throw new SpiffeError('CONFIG_INVALID', `${where} has no certificate in PEM`);
}

/** PEM, not encrypted. */
export function parsePrivateKey(where: string, text: string): KeyObject {
  try {
    return createPrivateKey(text);
  } catch {
    // OpenSSL's words could quote the text.
    throw new SpiffeError('CONFIG_INVALID', `${where} does not hold a private key in PEM, not encrypted`);
  }
}
