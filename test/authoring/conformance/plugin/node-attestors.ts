import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import {
  NodeAttestorDefinition as AgentNodeAttestorDefinition,
  type Challenge,
  type PayloadOrChallengeResponse,
} from '../../../../src/gen/spire/plugin/agent/nodeattestor/v1/nodeattestor.ts';
import {
  type AttestRequest,
  type AttestResponse,
  NodeAttestorDefinition as ServerNodeAttestorDefinition,
} from '../../../../src/gen/spire/plugin/server/nodeattestor/v1/nodeattestor.ts';
import type { CallContext } from '../../../../src/rpc/call.ts';
import { ATTESTATION_METADATA } from '../../../../src/rpc/go-plugin.ts';
import { type BoundService, bindService } from '../../../../src/rpc/service.ts';
import { SpiffeError } from '../../../../src/spiffe/error.ts';
import { untilAborted } from './layer.ts';
import type { PluginState } from './state.ts';

// The node proves that it knows the SHA-256 of challenge and name; a name is known by its first letters, `node:`.

const NAME = 'node:one';
const denied = () => new SpiffeError('ATTESTATION_DENIED', 'that proves nothing');
const digest = (challenge: Uint8Array, payload: Uint8Array) =>
  createHash('sha256').update(challenge).update(payload).digest();

export function serverNodeAttestor(state: PluginState): BoundService {
  const seen = new Seen();
  return bindService(ServerNodeAttestorDefinition, { attest: (requests, call) => attest(state, seen, requests, call) });
}

/** What a careless plugin keeps outside of a single attestation. */
class Seen {
  readonly challenges: Uint8Array[] = [];
  csrs: Uint8Array[] = [];
  open = 0;
}

async function* attest(
  state: PluginState,
  seen: Seen,
  requests: AsyncIterable<AttestRequest>,
  { metadata, signal }: CallContext,
): AsyncGenerator<AttestResponse> {
  const trustDomain = await state.enter();
  const csr = metadata.findBytes(ATTESTATION_METADATA.csrPublicKey);
  seen.open++;
  if (csr !== undefined) seen.csrs.push(csr);
  const admitted = (): AttestResponse => ({
    response: { $case: 'agentAttributes', value: attributes(state, trustDomain, seen, csr) },
  });
  if (state.has('crash-on-cancel')) signal.addEventListener('abort', () => process.exit(7), { once: true });
  try {
    const incoming = requests[Symbol.asyncIterator]();
    const { value, done } = await incoming.next();
    const request: AttestRequest['request'] = done ? undefined : value.request;
    if (state.has('half-close-hangs') && done) await untilAborted(signal);
    if (state.has('admits-any-first') && !done) return yield admitted();
    if (state.has('admits-neither') && !done && request === undefined) return yield admitted();
    if (state.has('admits-answer-first') && request?.$case === 'challengeResponse') return yield admitted();
    if (request?.$case !== 'payload') throw denied();
    const payload = request.value;
    if (state.has('admits-empty') && payload.length === 0) return yield admitted();
    if (state.has('admits-with-csr') && csr !== undefined) return yield admitted();
    if (state.has('admits-crowds') && seen.open > 1) return yield admitted();
    if (state.has('no-challenge')) {
      if (!Buffer.from(payload).toString().startsWith('node:')) throw denied();
      return yield admitted();
    }
    if (state.has('message-with-neither')) return yield { response: undefined };
    yield* challenge(state, seen, payload, incoming, signal);
    yield admitted();
  } finally {
    seen.open--;
  }
}

/** @throws SpiffeError where the answer is wrong */
async function* challenge(
  state: PluginState,
  seen: Seen,
  payload: Uint8Array,
  incoming: AsyncIterator<AttestRequest>,
  signal: AbortSignal,
): AsyncGenerator<AttestResponse> {
  const asked = state.has('same-challenge') ? Buffer.alloc(16, 7) : randomBytes(16);
  seen.challenges.push(asked);
  yield { response: { $case: 'challenge', value: asked } };
  if (state.has('admits-in-the-end')) {
    const answer = await Promise.race([incoming.next(), delay(500)]);
    if (answer === undefined) return;
    if (!judge(state, seen, asked, payload, answerOf(answer))) throw denied();
    return;
  }
  for (;;) {
    const answer = await incoming.next();
    if (answer.done && state.has('half-close-later-hangs')) await untilAborted(signal);
    if (judge(state, seen, asked, payload, answerOf(answer))) return;
    if (answer.done || !state.has('forgives')) throw denied();
  }
}

function answerOf({ done, value }: IteratorResult<AttestRequest>): Uint8Array | undefined {
  const request: AttestRequest['request'] = done ? undefined : value.request;
  return request?.$case === 'challengeResponse' ? request.value : undefined;
}

function judge(
  state: PluginState,
  seen: Seen,
  asked: Uint8Array,
  payload: Uint8Array,
  answer: Uint8Array | undefined,
): boolean {
  if (answer === undefined || !Buffer.from(payload).toString().startsWith('node:')) return false;
  if (state.has('empty-answer') && answer.length === 0) return true;
  const last = seen.challenges.at(-1) ?? asked;
  const valid = state.has('old-answers') ? seen.challenges : [state.has('last-challenge') ? last : asked];
  return valid.some((challenge) => {
    const wanted = digest(challenge, payload);
    if (state.has('half-answer')) return wanted.subarray(0, 8).equals(answer.subarray(0, 8));
    if (state.has('short-answer')) return answer.length > 0 && wanted.subarray(0, answer.length).equals(answer);
    return wanted.equals(answer);
  });
}

function attributes(state: PluginState, trustDomain: string, seen: Seen, csr: Uint8Array | undefined) {
  const domain = state.has('other-trust-domain') ? 'elsewhere.example' : trustDomain;
  const folder = state.has('other-folder') ? 'nodes' : 'spire/agent';
  const suffix = state.has('new-agent') ? randomUUID() : 'one';
  const mixed = state.has('mixes-csr') ? seen.csrs.at(-1) : csr;
  return {
    spiffeId: `spiffe://${domain}/${folder}/conformance/${suffix}`,
    selectorValues: [
      `csr:${Buffer.from(mixed ?? []).toString('hex')}x`,
      ...(state.has('claims-bound') ? ['csr:bound'] : []),
      ...(state.has('bad-selector') ? [''] : []),
    ],
    canReattest: true,
  };
}

export function agentNodeAttestor(state: PluginState): BoundService {
  let runs = 0;
  let open = 0;
  return bindService(AgentNodeAttestorDefinition, {
    async *aidAttestation(challenges, { metadata, signal }) {
      await state.enter();
      runs++;
      open++;
      try {
        if (state.has('payload-once') && runs > 1) throw denied();
        if (state.has('alone') && open > 1) throw denied();
        if (state.has('no-csr-please') && metadata.findBytes(ATTESTATION_METADATA.csrPublicKey)) throw denied();
        yield* aid(state, challenges, signal);
      } finally {
        open--;
      }
    },
  });
}

async function* aid(
  state: PluginState,
  challenges: AsyncIterable<Challenge>,
  signal: AbortSignal,
): AsyncGenerator<PayloadOrChallengeResponse> {
  const incoming = challenges[Symbol.asyncIterator]();
  if (state.has('waits')) await incoming.next();
  if (state.has('floods')) for (;;) yield { data: { $case: 'payload', value: Buffer.alloc(1024 * 1024, 1) } };
  const payload = Buffer.from(state.has('empty-payload') ? '' : NAME);
  yield { data: { $case: 'payload', value: payload } };
  for (;;) {
    const { value, done } = await incoming.next();
    if (done && state.has('half-close-hangs')) await untilAborted(signal);
    if (done) return;
    const { challenge } = value;
    const isEmpty = challenge.length === 0;
    if (isEmpty && state.has('empty-challenge-hangs')) await untilAborted(signal);
    if (!isEmpty && challenge.length !== 16 && state.has('garbage-empty-answer')) {
      yield { data: { $case: 'challengeResponse', value: new Uint8Array(0) } };
    }
    yield { data: { $case: 'challengeResponse', value: digest(challenge, payload) } };
  }
}
