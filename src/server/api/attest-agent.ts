import type { AttestAgentRequest, AttestAgentResponse } from '../../gen/spire/api/server/agent/v1/agent.ts';
import type { CallContext } from '../../rpc/call.ts';
import { findOperatorReason, forPeer } from '../../rpc/operator-reason.ts';
import { messageOf, SpiffeError } from '../../spiffe/error.ts';
import type { AttemptLog } from '../attempts/attempt-log.ts';
import { type AdmissionOptions, admitAgent } from '../attestation/admit-agent.ts';
import type { Attestors } from '../attestation/attestors.ts';
import { withChallenges } from '../attestation/with-challenges.ts';
import { EvidenceDigest } from '../reattestation/evidence-digest.ts';
import type { VerdictHistory } from '../reattestation/verdict-history.ts';
import { toApiX509Svid } from './api-svid.ts';
import { ExpectedRequests } from './expected-requests.ts';
import { requireCsr } from './require-csr.ts';

export interface AttestAgentOptions extends AdmissionOptions {
  readonly attestors: Attestors;
  readonly attempts: Pick<AttemptLog, 'record'>;
  readonly history: Pick<VerdictHistory, 'record'>;
  /** Waits until the caller's address may attest once more; throws to refuse. */
  readonly spend: (context: CallContext, count: number) => Promise<void>;
}

/** Evidence of a measured boot is the largest payload: an event log and an IMA log. */
const MAX_PAYLOAD_BYTES = 3 * 1024 * 1024;
/** Of the whole exchange; the slowest TPMs take half a minute to make their keys. */
const DEADLINE_MS = 180_000;
const MAX_LOGGED_CHARACTERS = 1000;

/** Inventory R006: parameters first, then an answer for every challenge, until the verdict. */
export async function* attestAgent(
  requests: AsyncIterable<AttestAgentRequest>,
  context: CallContext,
  options: AttestAgentOptions,
): AsyncGenerator<AttestAgentResponse> {
  const { peer } = context;
  const address = peer.kind === 'tls' ? peer.address : '';
  using incoming = new ExpectedRequests(requests, DEADLINE_MS);
  const signal = AbortSignal.any([context.signal, incoming.signal]);
  await options.spend({ ...context, signal }, 1);
  const attempt = { attestationType: '', agentId: '' };
  const digest = new EvidenceDigest();
  try {
    const { data, csr } = await receiveParams(incoming);
    attempt.attestationType = data.type;
    const { subjectPublicKeyInfo: csrPublicKey } = await requireCsr(csr);
    const node = yield* withChallenges((push) =>
      options.attestors.attest({
        type: data.type,
        payload: digest.add(data.payload),
        csrPublicKey,
        ...(peer.kind === 'tls' ? { clientAddress: address } : {}),
        signal,
        async challenge(challenge) {
          push(challenge);
          return digest.add(await receiveAnswer(incoming));
        },
      }),
    );
    attempt.agentId = node.spiffeId;
    const svid = toApiX509Svid(await admitAgent(node, data.type, csrPublicKey, options), node.spiffeId);
    options.attempts.record({ ...attempt, address, attested: true, reason: '' });
    const { spiffeId: agentId, selectors } = node;
    if (node.canReattest) {
      const evidenceSha256 = digest.finish();
      await options.history.record({ agentId, attestor: data.type, verdict: 'attested', selectors, evidenceSha256 });
    }
    yield { step: { $case: 'result', value: { svid, reattestable: node.canReattest } } };
  } catch (error) {
    const cause: unknown = incoming.signal.aborted ? incoming.signal.reason : error;
    const reason = findOperatorReason(cause) ?? messageOf(cause);
    options.attempts.record({ ...attempt, address, attested: false, reason });
    options.log.warning('agent refused', {
      attestor: attempt.attestationType.slice(0, MAX_LOGGED_CHARACTERS),
      ...(peer.kind === 'tls' ? { address } : {}),
      reason: reason.slice(0, MAX_LOGGED_CHARACTERS),
    });
    throw forPeer(cause);
  }
}

async function receiveParams(incoming: ExpectedRequests<AttestAgentRequest>) {
  const step = (await incoming.next())?.step;
  if (step?.$case !== 'params')
    throw new SpiffeError('ARGUMENT_INVALID', 'the first message of an attestation has to carry its parameters');
  const { data, params } = step.value;
  if (data === undefined) throw new SpiffeError('ARGUMENT_INVALID', 'missing attestation data');
  if (data.type === '') throw new SpiffeError('ARGUMENT_INVALID', 'missing attestation data type');
  if (data.payload.length === 0) throw new SpiffeError('ARGUMENT_INVALID', 'missing attestation payload');
  if (data.payload.length > MAX_PAYLOAD_BYTES) {
    throw new SpiffeError(
      'TOO_LARGE',
      `the attestation payload has ${data.payload.length} bytes, ${MAX_PAYLOAD_BYTES} at most`,
    );
  }
  if (params === undefined) throw new SpiffeError('ARGUMENT_INVALID', 'missing X509-SVID parameters');
  return { data, csr: params.csr };
}

async function receiveAnswer(incoming: ExpectedRequests<AttestAgentRequest>): Promise<Uint8Array> {
  const step = (await incoming.next())?.step;
  if (step?.$case !== 'challengeResponse') {
    throw new SpiffeError(
      'ARGUMENT_INVALID',
      `expected the answer to a challenge, got ${step?.$case ?? 'the end of the stream'}`,
    );
  }
  return step.value;
}
