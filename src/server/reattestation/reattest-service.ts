import { createHash } from 'node:crypto';
import type { AgentRepository, AttestedAgent } from '../../datastore/agent-repository.ts';
import {
  ReattestationDefinition,
  type ReattestRequest,
  type ReattestResponse,
} from '../../gen/assayer/server/reattest/v1/reattest.ts';
import type { CallContext } from '../../rpc/call.ts';
import { findOperatorReason } from '../../rpc/operator-reason.ts';
import type { TlsPeer } from '../../rpc/peer.ts';
import { type BoundService, bindService } from '../../rpc/service.ts';
import { sleep } from '../../rpc/sleep.ts';
import { statusOf } from '../../rpc/status.ts';
import { messageOf, SpiffeError } from '../../spiffe/error.ts';
import { Status } from '../../spiffe/status.ts';
import type { Attestors } from '../attestation/attestors.ts';
import { withChallenges } from '../attestation/with-challenges.ts';
import { requireAgent } from '../authorization/agent-caller.ts';
import { leafCertificateOf } from '../authorization/leaf-certificate.ts';
import { applyVerdict, type Evidence, type Verdict, type VerdictOptions } from './apply-verdict.ts';
import { EvidenceDigest } from './evidence-digest.ts';
import type { Reattestation, ReattestationSettings } from './reattestation-settings.ts';
import type { VerdictHistory } from './verdict-history.ts';

export interface ReattestServiceOptions extends VerdictOptions {
  readonly agents: AgentRepository;
  readonly attestors: Pick<Attestors, 'attest'>;
  readonly settings: Pick<Reattestation, 'find'>;
  /** The agent that calls. */
  readonly callingAgent: (context: CallContext) => AttestedAgent;
  readonly history: VerdictHistory;
  readonly clock: () => Date;
}

/** How long a configuration that was replaced may go unseen between two rounds. */
const LOOK_MS = 10_000;
/** Of one round, the agent's part included. */
const ROUND_MS = 120_000;
const MAX_PAYLOAD_BYTES = 3 * 1024 * 1024;

/** Has agents show evidence again and again. SPIRE has nothing like it. */
export function reattestService(options: ReattestServiceOptions): BoundService {
  return bindService(ReattestationDefinition, {
    async *reattest(requests, context): AsyncGenerator<ReattestResponse> {
      const { peer, signal } = context;
      const leaf = peer.kind === 'tls' ? leafCertificateOf(peer) : undefined;
      if (peer.kind !== 'tls' || leaf === undefined) {
        throw new SpiffeError('PERMISSION_DENIED', 'the caller is not an agent');
      }
      const { attestationType } = options.callingAgent(context);
      const publicKey = leaf.subjectPublicKeyInfo;
      const publicKeySha256 = createHash('sha256').update(publicKey).digest();
      const incoming = new Rounds(requests);
      let verdict: Verdict | undefined;
      while (!signal.aborted) {
        const startedAt = performance.now();
        const { intervalMs, onChange } = requireSettings(attestationType, options);
        yield { step: { $case: 'begin', value: { intervalSeconds: intervalMs / 1000, publicKeySha256 } } };
        const round = incoming.begin(signal);
        const agent = await requireAgent(peer, options.agents, options.clock());
        const digest = new EvidenceDigest();
        const evidence = yield* receiveEvidence(agent, { peer, publicKey, round, digest }, options);
        verdict = await applyVerdict(agent, evidence, onChange, verdict, options);
        await options.history.record({
          agentId: agent.spiffeId,
          attestor: attestationType,
          verdict,
          ...(evidence.isProven ? { selectors: evidence.selectors } : { selectors: [], reason: evidence.reason }),
          evidenceSha256: digest.finish(),
        });
        yield { step: { $case: 'verdict', value: { holds: verdict !== 'lost' } } };
        await requireAgent(peer, options.agents, options.clock()); // who was banned is told so at once
        await pause(attestationType, startedAt, signal, options);
      }
    },
  });
}

/** @throws SpiffeError `FAILED_PRECONDITION` for an attestor that is not, or no longer, configured for it */
function requireSettings(
  attestor: string,
  { settings }: Pick<ReattestServiceOptions, 'settings'>,
): ReattestationSettings {
  const found = settings.find(attestor);
  if (found !== undefined) return found;
  throw new SpiffeError('FAILED_PRECONDITION', `agents of "${attestor}" do not attest again at an interval`);
}

/** Until the interval has passed, or there is none any more: it may be changed meanwhile. */
async function pause(
  attestor: string,
  startedAt: number,
  signal: AbortSignal,
  { settings }: Pick<ReattestServiceOptions, 'settings'>,
): Promise<void> {
  while (!signal.aborted) {
    const { intervalMs = 0 } = settings.find(attestor) ?? {};
    const leftMs = intervalMs - (performance.now() - startedAt);
    if (leftMs <= 0) return;
    await sleep(Math.min(leftMs, LOOK_MS), signal);
  }
}

interface RoundContext {
  readonly peer: TlsPeer;
  readonly publicKey: Uint8Array;
  readonly round: Round;
  readonly digest: EvidenceDigest;
}

interface Round {
  readonly signal: AbortSignal;
  next(): Promise<ReattestRequest>;
  end(): void;
}

async function* receiveEvidence(
  agent: AttestedAgent,
  { peer, publicKey, round, digest }: RoundContext,
  options: ReattestServiceOptions,
): AsyncGenerator<ReattestResponse, Evidence> {
  async function attest(push: (challenge: Uint8Array) => void): Promise<Evidence> {
    try {
      const payload = digest.add(takeStep(await round.next(), 'payload'));
      if (payload.length === 0 || payload.length > MAX_PAYLOAD_BYTES) {
        throw new SpiffeError('ARGUMENT_INVALID', `the payload has ${payload.length} bytes`);
      }
      const node = await options.attestors.attest({
        type: agent.attestationType,
        payload,
        csrPublicKey: publicKey,
        clientAddress: peer.address,
        signal: round.signal,
        async challenge(challenge) {
          push(challenge);
          return digest.add(takeStep(await round.next(), 'challengeResponse'));
        },
      });
      if (node.spiffeId !== agent.spiffeId) {
        return { isProven: false, reason: `it is ${node.spiffeId} by its evidence` };
      }
      return { isProven: true, selectors: node.selectors };
    } catch (error) {
      if (round.signal.aborted || !isRefusal(error)) throw error;
      return { isProven: false, reason: findOperatorReason(error) ?? messageOf(error) };
    }
  }

  try {
    return yield* withChallenges(attest);
  } finally {
    round.end();
  }
}

/** What an attestor says of evidence, and not of itself or the way to the node. */
function isRefusal(error: unknown): boolean {
  const status = statusOf(error);
  return status === Status.PermissionDenied || status === Status.InvalidArgument;
}

function takeStep(request: ReattestRequest, wanted: 'payload' | 'challengeResponse'): Uint8Array {
  const { step } = request;
  if (step?.$case === wanted) return step.value;
  throw new SpiffeError('FAILED_PRECONDITION', `a ${wanted} was due, and ${step?.$case ?? 'nothing'} came`);
}

/** The agent's messages, each round with a deadline of its own. */
class Rounds {
  readonly #requests: AsyncIterator<ReattestRequest>;

  constructor(requests: AsyncIterable<ReattestRequest>) {
    this.#requests = requests[Symbol.asyncIterator]();
  }

  begin(signal: AbortSignal): Round {
    const late = new AbortController();
    const timer = setTimeout(
      () => late.abort(new SpiffeError('DEADLINE_EXCEEDED', `a round took more than ${ROUND_MS / 1000} s`)),
      ROUND_MS,
    );
    const both = AbortSignal.any([signal, late.signal]);
    const { promise: aborted, reject } = Promise.withResolvers<never>();
    aborted.catch(() => {});
    const onAbort = () => reject(both.reason);
    both.addEventListener('abort', onAbort);
    return {
      signal: both,
      next: async () => {
        const { done, value } = await Promise.race([this.#requests.next(), aborted]);
        if (done === true) throw new SpiffeError('CANCELLED', 'the agent has ended the stream');
        return value;
      },
      end() {
        clearTimeout(timer);
        both.removeEventListener('abort', onAbort);
      },
    };
  }
}
