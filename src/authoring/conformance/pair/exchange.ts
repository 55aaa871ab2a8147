import type { AgentAttributes } from '../../../gen/spire/plugin/server/nodeattestor/v1/nodeattestor.ts';
import { messageOf } from '../../../spiffe/error.ts';
import { AgentAttestation, type RequestKind, ServerAttestation } from '../kinds/attestation-streams.ts';
import { Mismatch } from '../rule.ts';
import type { Session } from '../session.ts';

/** One message between the halves, in the order in which they travel: payload, challenge, answer, challenge, … */
export interface Message {
  readonly index: number;
  readonly to: 'server' | 'agent';
  readonly bytes: Uint8Array;
}

/** What arrives in place of a message: as many as there are. */
export type Tamper = (message: Message) => readonly Uint8Array[];

/** Both halves of an attestor, ready. */
export interface Halves {
  readonly server: Session;
  readonly agent: Session;
}

export interface ExchangeOptions {
  readonly serverCsr?: Uint8Array | undefined;
  readonly agentCsr?: Uint8Array | undefined;
  readonly tamper?: Tamper;
  /** How long nobody has to say anything, once a message got lost, for both to have nothing more to say. */
  readonly silenceMs?: number;
}

export type ExchangeResult =
  | { readonly admitted: true; readonly attributes: AgentAttributes; readonly messages: readonly Message[] }
  | { readonly admitted: false; readonly reason: string; readonly messages: readonly Message[] };

/** Attestors that ask more often than this do not come to an end. */
const MAX_MESSAGES = 64;
/** Of one attestation. */
export const ATTESTATION_MS = 60_000;
const SILENCE_MS = 1_500;

/** Runs one attestation through both halves. @throws Mismatch where a half breaks the contract on an honest message */
export async function exchange(
  { server, agent }: Halves,
  { serverCsr, agentCsr, tamper, silenceMs = SILENCE_MS }: ExchangeOptions,
): Promise<ExchangeResult> {
  await using node = await AgentAttestation.open(agent, { csrPublicKey: agentCsr, deadlineMs: ATTESTATION_MS });
  await using judge = await ServerAttestation.open(server, { csrPublicKey: serverCsr, deadlineMs: ATTESTATION_MS });
  const messages: Message[] = [];
  let isLost = false;
  const deliver = (to: Message['to'], bytes: Uint8Array): readonly Uint8Array[] => {
    const message = { index: messages.length, to, bytes };
    messages.push(message);
    const arriving = tamper?.(message) ?? [bytes];
    if (arriving.length === 0) isLost = true;
    return arriving;
  };
  const isHonest = tamper === undefined;
  const limit = <Answer>(step: Promise<Answer>) => (isLost ? withinSilence(step, silenceMs) : step);
  try {
    for (let kind: RequestKind = 'payload'; messages.length < MAX_MESSAGES; kind = 'challengeResponse') {
      const said = await limit(node.receive(kind));
      if (said === undefined) return { admitted: false, reason: "the agent's half ended", messages };
      for (const bytes of deliver('server', said)) await judge.send(kind, bytes);
      const step = await limit(judge.receive());
      if (step.kind === 'admitted') return { admitted: true, attributes: step.attributes, messages };
      if (step.kind === 'ended') return { admitted: false, reason: "the server's half ended", messages };
      for (const challenge of deliver('agent', step.challenge)) await node.send(challenge);
    }
    return { admitted: false, reason: `${MAX_MESSAGES} messages without a verdict`, messages };
  } catch (error) {
    if (isHonest && error instanceof Mismatch) throw error;
    return { admitted: false, reason: messageOf(error), messages };
  }
}

/** With a message lost neither half has more to say: that is told by time alone. */
async function withinSilence<Answer>(step: Promise<Answer>, silenceMs: number): Promise<Answer> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error('neither half says anything more')), silenceMs);
  try {
    return await Promise.race([step, promise]);
  } finally {
    clearTimeout(timer);
  }
}
