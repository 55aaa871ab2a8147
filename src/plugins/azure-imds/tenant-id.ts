import { requestFromWeb, SpiffeError, z } from '../../plugin-sdk/index.ts';
import { below } from '../cloud/api-url.ts';
import { parseAnswer } from '../cloud/parse-answer.ts';

const NAME = 'Microsoft’s login service';
const DEADLINE_MS = 10_000;
const MAX_BYTES = 64 * 1024;

const configuration = z.object({ issuer: z.string() });

/**
 * The ID of a tenant by its domain.
 *
 * @throws SpiffeError `UNAVAILABLE`, `FAILED_PRECONDITION` for a domain that is nobody's
 * @see Microsoft identity platform, "OpenID Connect", `.well-known/openid-configuration`
 */
export async function fetchTenantId(domain: string, login: URL): Promise<string> {
  const { status, body } = await requestFromWeb({
    ...{ name: NAME, maxBytes: MAX_BYTES, deadlineMs: DEADLINE_MS, signal: new AbortController().signal },
    url: below(login, `/${encodeURIComponent(domain)}/.well-known/openid-configuration`),
  });
  if (status === 400 || status === 404) {
    throw new SpiffeError('FAILED_PRECONDITION', `${NAME} knows no tenant "${domain}" (status ${status})`);
  }
  if (status !== 200) throw new SpiffeError('UNAVAILABLE', `${NAME} answered with status ${status}`);
  const { issuer } = parseAnswer(body, configuration, NAME);
  const [, id] = /^https:\/\/sts\.[a-z.]+\/([0-9a-f-]{36})\/$/i.exec(issuer) ?? [];
  if (id === undefined) throw new SpiffeError('UNAVAILABLE', `${NAME} names no tenant for the domain "${domain}"`);
  return id;
}
