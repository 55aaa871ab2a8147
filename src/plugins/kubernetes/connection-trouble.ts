/** Why a server of Kubernetes gave no answer, as far as an error of Node tells. */
export type ConnectionTrouble =
  /** Its certificate leads to no authority that is known. */
  | 'untrusted'
  /** Its certificate is another name's. */
  | 'other-name'
  /** Its certificate has expired, or has another fault. */
  | 'bad-certificate'
  /** A server that starts anew, a network that is not there yet: another attempt may do better. */
  | 'passing'
  | 'other';

/** OpenSSL's names for a certificate that leads to no authority which is known. Source: openssl-verification-options(1). */
const UNTRUSTED: ReadonlySet<string> = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'CERT_SIGNATURE_FAILURE',
]);
const PASSING: ReadonlySet<string> = new Set(
  'ECONNREFUSED ECONNRESET ECONNABORTED EPIPE ETIMEDOUT EHOSTUNREACH ENETUNREACH EAI_AGAIN'.split(' '),
);

export function connectionTroubleOf(error: unknown): ConnectionTrouble {
  const code = codeOf(error);
  if (UNTRUSTED.has(code)) return 'untrusted';
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') return 'other-name';
  if (code.startsWith('CERT_')) return 'bad-certificate';
  return PASSING.has(code) ? 'passing' : 'other';
}

/** Node's or OpenSSL's name for it; empty where it has none. */
export function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}
