import { timingSafeEqual } from 'node:crypto';
import {
  type AgentAttributes,
  agentId,
  type ServerAttestationContext,
  SpiffeError,
  type SpiffeId,
} from '../../plugin-sdk/index.ts';
import type { AllowedAddresses } from './allowed-addresses.ts';
import { type FetchOptions, fetchAnswer } from './fetch-answer.ts';
import { requireHostname } from './hostname.ts';
import { decodePayload, encodeChallenge, type HttpPayload, requireAnswer } from './messages.ts';
import { FIRST_NON_ROOT_PORT, type HttpServerConfig } from './server-config.ts';

/** What the server half knows: a value that a new configuration replaces. */
export interface HttpAttestorState {
  readonly config: HttpServerConfig;
  readonly allowed: AllowedAddresses;
}

export interface HttpAttestContext extends Pick<ServerAttestationContext, 'trustDomain' | 'randomBytes' | 'signal'> {
  /** Refuses an agent that has attested. */
  readonly requireFirstUse: (agentId: SpiffeId) => Promise<void>;
  readonly fetching?: Pick<FetchOptions, 'resolve' | 'deadlineMs'>;
}

const NONCE_BYTES = 32;

/**
 * The server's half: fetches from the host that the agent names what it gave to the agent.
 *
 * @throws SpiffeError `ATTESTATION_DENIED`; `ARGUMENT_INVALID`, `TOO_LARGE` for what cannot be read
 * @see docs/plugins/http-challenge.md
 */
export async function* attestHost(
  bytes: Uint8Array,
  { config, allowed }: HttpAttestorState,
  { trustDomain, randomBytes, signal, requireFirstUse, fetching }: HttpAttestContext,
): AsyncGenerator<Uint8Array, AgentAttributes, Uint8Array> {
  const payload = decodePayload(bytes);
  const { hostname } = payload;
  requireHostname(hostname);
  requirePort(payload, config);
  if (config.allowed_dns_patterns.length > 0 && !config.allowed_dns_patterns.some((matches) => matches(hostname))) {
    throw denied(`the hostname "${hostname}" matches none of "allowed_dns_patterns"`);
  }
  const spiffeId = agentId(trustDomain, 'http_challenge', hostname);
  // Before anything is fetched: a node that is known does not make this server send requests.
  if (config.tofu) await requireFirstUse(spiffeId);
  const nonce = Buffer.from(await randomBytes(NONCE_BYTES))
    .toString('base64')
    .replaceAll('+', '-')
    .replaceAll('/', '_');
  requireAnswer(yield encodeChallenge(nonce), nonce);
  const served = Buffer.from(await fetchAnswer(payload, { allowed, signal, ...fetching }));
  const expected = Buffer.from(nonce);
  if (served.length !== expected.length || !timingSafeEqual(served, expected)) {
    throw denied(`what "${hostname}" serves on port ${payload.port} is not the challenge of this attestation`);
  }
  if (config.tofu) await requireFirstUse(spiffeId);
  return { spiffeId, selectorValues: [`hostname:${hostname}`], canReattest: !config.tofu };
}

function requirePort({ port }: HttpPayload, { required_port, allow_non_root_ports }: HttpServerConfig): void {
  if (required_port !== undefined && port !== required_port) {
    throw denied(`port ${port} is not the "required_port" of this server, ${required_port}`);
  }
  if (!allow_non_root_ports && port >= FIRST_NON_ROOT_PORT) {
    throw denied(`on port ${port} anybody may listen, and "allow_non_root_ports" is false: use a port below 1024`);
  }
}

function denied(message: string): SpiffeError {
  return new SpiffeError('ATTESTATION_DENIED', message);
}
