import { SpiffeError, z } from '../../plugin-sdk/index.ts';
import type { ApiClient } from '../kubernetes/api-client.ts';
import { namespaceName, objectName } from '../kubernetes/object-names.ts';
import { describeClaims } from './token-claims.ts';

/** Whose a token is, as the API server says. */
export interface ReviewedToken {
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly podName: string;
  readonly podUid: string;
  /** Undefined: Kubernetes before 1.30 does not say. */
  readonly nodeName: string | undefined;
  /** Undefined: Kubernetes before 1.30 does not say. */
  readonly nodeUid: string | undefined;
}

/** What was asked. */
export interface TokenQuestion {
  readonly token: string;
  /** Empty: the API server's own. */
  readonly audiences: readonly string[];
}

const EXTRA = 'authentication.kubernetes.io/';
const MAX_ERROR_CHARACTERS = 300;
/** It may become a part of the agent's SPIFFE ID. */
const UID = /^[\w.-]{1,128}$/;
/** Go writes a list without items as null, or leaves it out. */
const texts = z
  .array(z.string())
  .nullish()
  .transform((items) => items ?? []);

const tokenReview = z.object({
  kind: z.literal('TokenReview'),
  status: z.object({
    authenticated: z.boolean().default(false),
    error: z.string().default(''),
    audiences: texts,
    user: z.object({ username: z.string().default(''), extra: z.record(z.string(), texts).nullish() }).prefault({}),
  }),
});
type ReviewStatus = z.output<typeof tokenReview>['status'];

/**
 * Asks an API server whose a token is.
 *
 * @throws SpiffeError `ATTESTATION_DENIED` for a token that is not that of a pod of this cluster and for one of the audiences, and
 *   what the client throws
 * @see Kubernetes API authentication.k8s.io/v1: TokenReview
 */
export async function reviewToken(
  client: Pick<ApiClient, 'send'>,
  question: TokenQuestion,
  now: Date,
  signal: AbortSignal,
): Promise<ReviewedToken> {
  const { token, audiences } = question;
  const answer = await client.send(
    {
      method: 'POST',
      path: '/apis/authentication.k8s.io/v1/tokenreviews',
      right: '"create" on "tokenreviews" of "authentication.k8s.io"',
      body: {
        type: 'application/json',
        value: {
          apiVersion: 'authentication.k8s.io/v1',
          kind: 'TokenReview',
          spec: { token, ...(audiences.length > 0 && { audiences }) },
        },
      },
    },
    signal,
  );
  const { success, data } = tokenReview.safeParse(answer.value);
  if (!success) throw new SpiffeError('FAILED_PRECONDITION', 'the API server’s answer is no TokenReview');
  const { status } = data;
  if (!status.authenticated || status.error !== '') {
    const why = status.error === '' ? '' : `: ${oneLine(status.error)}`;
    throw denied(`the cluster does not take the token${why}${describeClaims(question, now)}`);
  }
  // An authenticator that knows nothing of audiences would take a token for any.
  if (audiences.length > 0 && !audiences.some((audience) => status.audiences.includes(audience))) {
    throw denied(`the token is for other audiences than ${list(audiences)}${describeClaims(question, now)}`);
  }
  return readUser(status);
}

function readUser({ user: { username, extra } }: ReviewStatus): ReviewedToken {
  const [, namespace = '', serviceAccount = ''] = /^system:serviceaccount:([^:]+):([^:]+)$/.exec(username) ?? [];
  if (!namespaceName.safeParse(namespace).success || !objectName.safeParse(serviceAccount).success) {
    throw denied(`the token is that of ${JSON.stringify(username.slice(0, 200))}, which is no service account`);
  }
  const find = (name: string): string | undefined => {
    const values = extra?.[EXTRA + name] ?? [];
    if (values.length > 1) throw denied(`the token names ${values.length} of what there is one of: ${name}`);
    return values[0] === '' ? undefined : values[0];
  };
  const [podName, podUid] = [find('pod-name'), find('pod-uid')];
  if (podName === undefined || podUid === undefined || !objectName.safeParse(podName).success || !UID.test(podUid)) {
    throw denied(
      `the token is that of service account "${namespace}:${serviceAccount}" and of no pod: it has to be projected into the agent's pod, and is useless once that is gone`,
    );
  }
  return { namespace, serviceAccount, podName, podUid, nodeName: find('node-name'), nodeUid: find('node-uid') };
}

function denied(message: string): SpiffeError {
  return new SpiffeError('ATTESTATION_DENIED', message);
}

function oneLine(text: string): string {
  const line = text.replace(/[\p{Cc}\s]+/gu, ' ').trim();
  return line.length <= MAX_ERROR_CHARACTERS ? line : `${line.slice(0, MAX_ERROR_CHARACTERS)}…`;
}

function list(texts: readonly string[]): string {
  return texts.map((text) => JSON.stringify(text)).join(', ');
}
