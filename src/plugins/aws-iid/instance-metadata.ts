import { requestFromWeb, SpiffeError } from '../../plugin-sdk/index.ts';
import { below } from '../cloud/api-url.ts';
import type { AttestationPayload } from './attestation-payload.ts';

const NAME = 'the instance metadata service';
const DEADLINE_MS = 5_000;
const MAX_BYTES = 16 * 1024;
const TOKEN_SECONDS = '300';
/** Of a service that knows no tokens: version 1. */
const WITHOUT_TOKENS: readonly number[] = [403, 404, 405];

/**
 * Asks an EC2 instance's metadata service for the identity document and its signatures, by version 2 of its protocol where
 * it has that.
 *
 * @throws SpiffeError `UNAVAILABLE`, `FAILED_PRECONDITION`, `TOO_LARGE`
 * @see Amazon EC2 User Guide, "Instance identity documents", "Use the Instance Metadata Service"
 */
export async function fetchIdentity(endpoint: URL, signal: AbortSignal): Promise<AttestationPayload> {
  const token = await fetchToken(endpoint, signal);
  const headers: Readonly<Record<string, string>> = token === undefined ? {} : { 'X-aws-ec2-metadata-token': token };
  const [document, signature, rsa2048] = await Promise.all(
    ['document', 'signature', 'rsa2048'].map(async (name) => {
      const { status, body } = await requestFromWeb({
        ...{ name: NAME, headers, signal, maxBytes: MAX_BYTES, deadlineMs: DEADLINE_MS },
        url: below(endpoint, `/latest/dynamic/instance-identity/${name}`),
      });
      if (status === 200) return body.toString('utf8');
      throw new SpiffeError(
        status === 404 ? 'FAILED_PRECONDITION' : 'UNAVAILABLE',
        `${NAME} at ${endpoint.host} answered with status ${status} when asked for instance-identity/${name}${status === 401 ? ': it wants a token, and gave none' : ''}`,
      );
    }),
  );
  return { document: document ?? '', signature: signature ?? '', rsa2048: rsa2048 ?? '' };
}

async function fetchToken(endpoint: URL, signal: AbortSignal): Promise<string | undefined> {
  const { status, body } = await requestFromWeb({
    ...{ name: NAME, method: 'PUT', body: '', signal, maxBytes: MAX_BYTES, deadlineMs: DEADLINE_MS },
    url: below(endpoint, '/latest/api/token'),
    headers: { 'X-aws-ec2-metadata-token-ttl-seconds': TOKEN_SECONDS },
  });
  if (WITHOUT_TOKENS.includes(status)) return undefined;
  const token = body.toString('latin1').trim();
  if (status === 200 && /^[\x21-\x7e]+$/.test(token)) return token;
  throw new SpiffeError('UNAVAILABLE', `${NAME} at ${endpoint.host} gave no token, but status ${status}`);
}
