import { requestFromWeb, SpiffeError } from '../../plugin-sdk/index.ts';
import { DEFAULT_METADATA_HOST, type GcpAgentConfig } from './agent-config.ts';
import { MAX_TOKEN_BYTES, TOKEN_AUDIENCE } from './identity-token.ts';

const DEADLINE_MS = 10_000;

/**
 * Asks the metadata server of the virtual machine for a token that describes it.
 *
 * @throws SpiffeError `UNAVAILABLE`, `FAILED_PRECONDITION`, `TOO_LARGE`
 * @see Google Cloud, "Verify the identity of VMs"
 */
export async function fetchIdentityToken(config: GcpAgentConfig, signal: AbortSignal): Promise<Uint8Array> {
  const host = config.identity_token_host ?? DEFAULT_METADATA_HOST;
  const account = config.service_account ?? 'default';
  const path = `/computeMetadata/v1/instance/service-accounts/${encodeURIComponent(account)}/identity`;
  const url = new URL(`http://${host}${path}?${new URLSearchParams({ audience: TOKEN_AUDIENCE, format: 'full' })}`);
  const name = 'the metadata server';
  const { status, body } = await requestFromWeb({
    ...{ name, url, signal, maxBytes: MAX_TOKEN_BYTES, deadlineMs: DEADLINE_MS },
    headers: { 'Metadata-Flavor': 'Google' },
  });
  if (status === 404) {
    throw new SpiffeError(
      'FAILED_PRECONDITION',
      `${name} knows no service account "${account}" (status 404): give the virtual machine one, or name in "service_account" one that it has`,
    );
  }
  if (status !== 200) throw new SpiffeError('UNAVAILABLE', `${name} at ${host} answered with status ${status}`);
  const token = body.toString('latin1').trim();
  if (!/^[\w-]+\.[\w-]+\.[\w-]+$/.test(token)) {
    throw new SpiffeError('FAILED_PRECONDITION', `${name} at ${host} answered with what is no token: is it Google’s?`);
  }
  return new Uint8Array(Buffer.from(token));
}
