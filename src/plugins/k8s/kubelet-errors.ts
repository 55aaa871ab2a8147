import { messageOf, SpiffeError } from '../../plugin-sdk/index.ts';
import { type ConnectionTrouble, codeOf, connectionTroubleOf } from '../kubernetes/connection-trouble.ts';

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
  const trouble = connectionTroubleOf(cause);
  return new SpiffeError(
    trouble === 'passing' ? 'UNAVAILABLE' : 'FAILED_PRECONDITION',
    `${where} ${describeTrouble(trouble, cause)}`,
    { cause },
  );
}

function describeTrouble(trouble: ConnectionTrouble, cause: unknown): string {
  const reason = messageOf(cause);
  switch (trouble) {
    case 'untrusted':
      return `shows a certificate that no authority of kubelet_ca_path signed (${codeOf(cause)}): a kubelet signs its own unless serverTLSBootstrap or tlsCertFile is set; set one of these, or skip_kubelet_verification`;
    case 'other-name':
      return `shows a certificate for another name than that of the node: ${reason}`;
    case 'bad-certificate':
      return `shows a certificate that is not valid: ${reason}`;
    case 'passing':
    case 'other':
      return `gave no answer: ${reason}`;
  }
}
