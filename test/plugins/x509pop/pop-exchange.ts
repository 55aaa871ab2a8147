import { randomBytes } from 'node:crypto';
import type { AgentAttributes } from '../../../src/plugin-sdk/index.ts';
import { attestPossession, type PopAttestContext, type PopAttestorState } from '../../../src/plugins/x509pop/attest.ts';
import {
  decodeChallenge,
  encodePayload,
  encodeResponse,
  NONCE_BYTES,
  type Proof,
} from '../../../src/plugins/x509pop/messages.ts';
import { proofKindOf, provePossession } from '../../../src/plugins/x509pop/possession.ts';
import { popServerConfig } from '../../../src/plugins/x509pop/server-config.ts';
import { parseTrustDomain } from '../../../src/spiffe/trust-domain.ts';
import { parseCertificate } from '../../../src/x509/certificate.ts';
import type { IssuedCertificate } from '../../harness/openssl-certificates.ts';

type Settings = Parameters<typeof popServerConfig.parse>[0];

/** @param cas DER */
export function popState(settings: Readonly<Record<string, unknown>>, cas: readonly Uint8Array[]): PopAttestorState {
  const config = popServerConfig.parse({
    ...(settings.mode === 'spiffe' ? {} : { ca_bundle_path: 'x' }),
    ...settings,
  } as Settings);
  return { config, cas: cas.map(parseCertificate) };
}

export interface PopExchange {
  readonly state: PopAttestorState;
  /** DER, leaf first. */
  readonly chain: readonly Uint8Array[];
  readonly key: IssuedCertificate['key'];
  readonly context?: Partial<PopAttestContext>;
  /** Changes what is sent. */
  readonly payload?: (payload: Uint8Array) => Uint8Array;
  readonly proof?: (proof: Proof) => Proof;
  readonly response?: (response: Uint8Array) => Uint8Array;
}

/** Both halves in one process. @throws what the server's half refuses with */
export async function exchangePop(exchange: PopExchange): Promise<AgentAttributes> {
  const { state, chain, key, context = {}, payload = same, proof = same, response = same } = exchange;
  const server = attestPossession(payload(encodePayload(chain)), state, {
    trustDomain: parseTrustDomain('example.org'),
    now: async () => new Date(),
    randomBytes: async (size) => new Uint8Array(randomBytes(size)),
    ownAuthorities: async () => state.cas,
    warn: () => {},
    ...context,
  });
  const first = await server.next();
  if (first.done === true) throw new Error('the server asked for nothing');
  const { nonce } = decodeChallenge(first.value, proofKindOf(key));
  const answer = encodeResponse(proof(provePossession(key, nonce, randomBytes(NONCE_BYTES))));
  const last = await server.next(response(answer));
  if (last.done !== true) throw new Error('the server asked twice');
  return last.value;
}

const same = <T>(value: T): T => value;
