import { SpiffeError } from '../../spiffe/error.ts';
import { quoteText } from '../../spiffe/quote-text.ts';

/** OpenSSL's and Node's names of what is wrong with a certificate, in words that say what to do. */
const REASONS: ReadonlyMap<string, string> = new Map([
  ['CERT_HAS_EXPIRED', 'its certificate has expired: its operator has to renew it'],
  ['CERT_NOT_YET_VALID', 'its certificate is not valid yet: compare the clocks'],
  ['DEPTH_ZERO_SELF_SIGNED_CERT', 'its certificate is signed by itself, which nobody here trusts'],
  ['SELF_SIGNED_CERT_IN_CHAIN', 'its certificate leads to an authority that is not trusted here'],
  ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'its certificate leads to no authority that is trusted here'],
  ['UNABLE_TO_GET_ISSUER_CERT_LOCALLY', 'its certificate leads to no authority that is trusted here'],
  ['UNABLE_TO_GET_ISSUER_CERT', 'its certificate leads to no authority that is trusted here'],
]);
const UNTRUSTED_ADVICE =
  'add the authority to the system or to NODE_EXTRA_CA_CERTS, or use the profile https_spiffe if it shows an X.509-SVID';

/** A handshake with a web server failed. @returns what to tell of it */
export function explainWebHandshake(error: unknown, host: string): unknown {
  const cause = error instanceof Error ? error.cause : undefined;
  if (!(cause instanceof Error && 'code' in cause && typeof cause.code === 'string')) return error;
  const untrusted = (message: string) =>
    new SpiffeError('CERTIFICATE_UNTRUSTED', `the bundle endpoint is not authenticated: ${message}`, { cause: error });
  if (cause.code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    const spiffeId = spiffeIdIn(cause);
    return untrusted(
      `its certificate is not for ${quoteText(host)}${spiffeId === undefined ? '' : `, but has SPIFFE ID ${quoteText(spiffeId)}: maybe use https_spiffe instead of https_web`}`,
    );
  }
  const reason = REASONS.get(cause.code);
  if (reason === undefined) return error;
  return untrusted(reason.endsWith('here') ? `${reason}: ${UNTRUSTED_ADVICE}` : reason);
}

function spiffeIdIn(error: object): string | undefined {
  const cert = 'cert' in error && typeof error.cert === 'object' ? error.cert : undefined;
  const names = cert && 'subjectaltname' in cert ? String(cert.subjectaltname) : '';
  return /URI:(spiffe:\/\/[^,\s"]+)/.exec(names)?.[1];
}
