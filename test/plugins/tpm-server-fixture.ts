import { generateKeyPairSync } from 'node:crypto';
import { attestTpm, type TpmAgentAttributes, type TpmAttestorState } from '../../src/plugins/tpm/attest.ts';
import {
  type AttestationChallenge,
  type AttestationPayload,
  type AttestationResponse,
  decodeChallenge,
  encodePayload,
  encodeResponse,
} from '../../src/plugins/tpm/codec.ts';
import { tpmServerConfig } from '../../src/plugins/tpm/config.ts';
import { EkMemory } from '../../src/plugins/tpm/ek-memory.ts';
import { decodeLogRequest, encodeLogChunk, type LogChunk, type LogRequest } from '../../src/plugins/tpm/log-codec.ts';
import { NO_POLICIES, type Policies } from '../../src/plugins/tpm/policies.ts';
import { Slots } from '../../src/plugins/tpm/slots.ts';
import { parseTrustDomain } from '../../src/spiffe/trust-domain.ts';
import { EkAuthority } from '../../src/testing/ek-authority.ts';
import { SoftwareTpm } from '../../src/testing/software-tpm.ts';
import type { EkTrustStore } from '../../src/tpm-trust/ek-trust-store.ts';
import { type ProverLogs, SoftwareProver } from '../harness/software-prover.ts';

export const TRUST_DOMAIN = parseTrustDomain('example.org');
export const NOW = new Date('2026-11-22T12:00:00Z');
export const root = EkAuthority.root();

export function csrKey(): Uint8Array {
  const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  return new Uint8Array(publicKey.export({ type: 'spki', format: 'der' }));
}

/** One attestation: an honest agent and a server that trusts its TPM's maker, but for what a test changes. */
export interface Attestation {
  readonly tpm?: SoftwareTpm;
  readonly ekCertificates?: readonly Uint8Array[];
  readonly config?: Readonly<Record<string, unknown>>;
  readonly trust?: Partial<EkTrustStore>;
  readonly memory?: EkMemory;
  readonly policies?: Policies;
  /** The CSR's key as the server sees it; the agent's own by default. */
  readonly csrPublicKey?: Uint8Array | 'unknown';
  readonly payload?: (payload: AttestationPayload) => AttestationPayload;
  readonly payloadBytes?: (bytes: Uint8Array) => Uint8Array;
  readonly challenge?: (challenge: AttestationChallenge) => AttestationChallenge;
  /** In place of the honest answer, where the node cannot give one. */
  readonly answer?: (challenge: AttestationChallenge, prover: SoftwareProver) => AttestationResponse;
  readonly response?: (response: AttestationResponse, prover: SoftwareProver) => AttestationResponse;
  readonly responseBytes?: (bytes: Uint8Array) => Uint8Array;
  /** What the node has of its logs. */
  readonly logs?: ProverLogs;
  readonly chunk?: (chunk: LogChunk, request: LogRequest) => LogChunk;
  readonly chunkBytes?: (bytes: Uint8Array) => Uint8Array;
  /** Told of every request for a part of a log. */
  readonly onRequest?: (request: LogRequest) => void;
  readonly now?: () => Date;
}

export function stateOf({
  config = {},
  trust = {},
  memory = new EkMemory(),
  policies = NO_POLICIES,
}: Attestation): TpmAttestorState {
  return {
    config: tpmServerConfig.parse({ ca_path: '/unused', ...config }),
    trust: {
      hardwareCas: [root.certificate],
      virtualCas: [],
      virtualManufacturers: new Set(),
      tolerateMissingEku: false,
      revocation: { publicKeyHashes: new Set(), certificateLabels: new Set(), crls: [] },
      enrolled: new Map(),
      ...trust,
    },
    memory,
    policies,
    slots: new Slots(1),
  };
}

const same = <T>(value: T): T => value;

/** @returns the verdict, or throws the refusal */
export async function attest(attestation: Attestation = {}): Promise<TpmAgentAttributes> {
  const { tpm = new SoftwareTpm(), now = () => NOW, csrPublicKey = AGENT_KEY } = attestation;
  const ekCertificates = attestation.ekCertificates ?? [root.issueEkCertificate(tpm.ekSpki)];
  const shownKey = csrPublicKey === 'unknown' ? new Uint8Array(0) : AGENT_KEY;
  const prover = new SoftwareProver(tpm, shownKey, ekCertificates, attestation.logs);
  const { payload = same, payloadBytes = same, challenge = same, response = same, responseBytes = same } = attestation;
  const { chunk = same, chunkBytes = same, onRequest = same } = attestation;
  const { answer = (asked: AttestationChallenge) => prover.response(asked) } = attestation;
  const server = attestTpm(payloadBytes(encodePayload(payload(prover.payload()))), stateOf(attestation), {
    trustDomain: TRUST_DOMAIN,
    now,
    ...(csrPublicKey === 'unknown' ? {} : { csrPublicKey }),
  });
  const step = await server.next();
  if (step.done === true) {
    throw new RangeError('admitted without a challenge');
  }
  const asked = challenge(decodeChallenge(step.value));
  const sent = responseBytes(encodeResponse(response(answer(asked, prover), prover)));
  let verdict = await server.next(sent);
  while (verdict.done !== true) {
    const request = decodeLogRequest(verdict.value);
    onRequest(request);
    verdict = await server.next(chunkBytes(encodeLogChunk(chunk(prover.chunk(request), request))));
  }
  return verdict.value;
}

export const AGENT_KEY = csrKey();
