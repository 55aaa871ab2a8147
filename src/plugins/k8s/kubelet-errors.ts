import { messageOf, SpiffeError } from '../../plugin-sdk/index.ts';

/** OpenSSL's names for a certificate that leads to no authority which is known. Source: openssl-verification-options(1). */
const UNTRUSTED: ReadonlySet<string> = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'CERT_SIGNATURE_FAILURE',
]);

/** A kubelet that starts anew, a network that is not there yet. */
const PASSING: ReadonlySet<string> = new Set(
  'ECONNREFUSED ECONNRESET ECONNABORTED EPIPE ETIMEDOUT EHOSTUNREACH ENETUNREACH EAI_AGAIN'.split(' '),
);

/** What a status other than 200 means, and what to do about it. */
export function explainStatus(
  where: string,
  status: number,
  location: string | undefined,
  identity: string,
): SpiffeError {
  if (status === 401) {
    return new SpiffeError(
      'UNAUTHENTICATED',
      `${where} does not know ${identity} (status 401): it takes tokens where its authentication.webhook is enabled, certificates of its clientCAFile, and no name at all where authentication.anonymous is`,
    );
  }
  if (status === 403) {
    return new SpiffeError(
      'FAILED_PRECONDITION',
      `${where} lets ${identity} not see its pods (status 403): allow it "get" on "nodes/proxy" or "nodes/pods" by a ClusterRole`,
    );
  }
  if (status === 404) {
    return new SpiffeError('FAILED_PRECONDITION', `${where} has no list of pods (status 404): is it a kubelet?`);
  }
  if (status >= 300 && status < 400) {
    const target = location === undefined ? 'elsewhere' : `to ${JSON.stringify(location.slice(0, 200))}`;
    return new SpiffeError(
      'FAILED_PRECONDITION',
      `${where} redirects ${target} (status ${status}), which is not followed`,
    );
  }
  const isPassing = status === 429 || status >= 500;
  return new SpiffeError(isPassing ? 'UNAVAILABLE' : 'FAILED_PRECONDITION', `${where} answered with status ${status}`);
}

/** Why there was no answer. */
export function explainConnection(where: string, cause: unknown): SpiffeError {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  const reason = messageOf(cause);
  if (UNTRUSTED.has(code)) {
    return new SpiffeError(
      'FAILED_PRECONDITION',
      `${where} shows a certificate that no authority of kubelet_ca_path signed (${code}): a kubelet signs its own unless serverTLSBootstrap or tlsCertFile is set; set one of these, or skip_kubelet_verification`,
      { cause },
    );
  }
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    return new SpiffeError(
      'FAILED_PRECONDITION',
      `${where} shows a certificate for another name than that of the node: ${reason}`,
      { cause },
    );
  }
  if (code.startsWith('CERT_')) {
    return new SpiffeError('FAILED_PRECONDITION', `${where} shows a certificate that is not valid: ${reason}`, {
      cause,
    });
  }
  const isPassing = PASSING.has(code);
  return new SpiffeError(isPassing ? 'UNAVAILABLE' : 'FAILED_PRECONDITION', `${where} gave no answer: ${reason}`, {
    cause,
  });
}
