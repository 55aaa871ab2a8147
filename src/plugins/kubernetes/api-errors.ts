import { messageOf, SpiffeError, z } from '../../plugin-sdk/index.ts';
import { type ConnectionTrouble, codeOf, connectionTroubleOf } from './connection-trouble.ts';

/** What an API server says of a failure. Source: Kubernetes API v1, meta/v1.Status. */
export interface StatusObject {
  /** For people; may be long. */
  readonly message: string;
  /** Such as `NotFound`, `Conflict`, `Forbidden`. */
  readonly reason: string;
}

const statusObject = z.object({
  kind: z.literal('Status'),
  message: z.string().default(''),
  reason: z.string().default(''),
});
const MAX_QUOTED_CHARACTERS = 500;

/** Undefined for what is no status of Kubernetes, such as the page of a proxy. */
export function findStatusObject(value: unknown): StatusObject | undefined {
  return statusObject.safeParse(value).data;
}

/** What an API server said, for a message: one line, cut where it is long. */
export function quoteStatus({ message }: StatusObject): string {
  const line = message.replace(/[\p{Cc}\s]+/gu, ' ').trim();
  return line.length <= MAX_QUOTED_CHARACTERS ? line : `${line.slice(0, MAX_QUOTED_CHARACTERS)}…`;
}

export interface FailedAnswer {
  readonly where: string;
  readonly status: number;
  readonly location: string | undefined;
  readonly failure: StatusObject | undefined;
  /** Which right the request took, such as `"get" on "pods"`. */
  readonly right: string;
}

/** What a status that nobody expected means, and what to do about it. */
export function explainStatus({ where, status, location, failure, right }: FailedAnswer): SpiffeError {
  const said = failure === undefined ? '' : `: ${quoteStatus(failure)}`;
  if (status === 401) {
    return new SpiffeError(
      'FAILED_PRECONDITION',
      `${where} does not know the token or certificate that this plugin shows (status 401): it may have expired, or be another cluster's`,
    );
  }
  if (status === 403) {
    return new SpiffeError(
      'FAILED_PRECONDITION',
      `${where} forbids this plugin what it asks (status 403)${said}; allow it ${right}`,
    );
  }
  if (status >= 300 && status < 400) {
    const target = location === undefined ? 'elsewhere' : `to ${JSON.stringify(location.slice(0, 200))}`;
    return new SpiffeError(
      'FAILED_PRECONDITION',
      `${where} redirects ${target} (status ${status}), which is not followed`,
    );
  }
  if (failure === undefined && status < 500 && status !== 429) {
    return new SpiffeError('FAILED_PRECONDITION', `${where} answered with status ${status}: is it an API server?`);
  }
  const isPassing = status === 429 || status >= 500;
  return new SpiffeError(
    isPassing ? 'UNAVAILABLE' : 'FAILED_PRECONDITION',
    `${where} answered with status ${status}${said}`,
  );
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
      return `shows a certificate that none of the cluster's authorities signed (${codeOf(cause)}): compare the certificate-authority of its kubeconfig`;
    case 'other-name':
      return `shows a certificate for another name: ${reason}; set tls-server-name in its kubeconfig, or another server`;
    case 'bad-certificate':
      return `shows a certificate that is not valid: ${reason}`;
    case 'passing':
    case 'other':
      return `gave no answer: ${reason}`;
  }
}
