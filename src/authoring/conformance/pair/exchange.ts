import type { AgentAttributes } from '../../../gen/spire/plugin/server/nodeattestor/v1/nodeattestor.ts';
import { AgentAttestation, type RequestKind, ServerAttestation } from '../kinds/attestation-streams.ts';
import { messageOf } from '../outcome.ts';
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
}

export type ExchangeResult =
  | { readonly admitted: true; readonly attributes: AgentAttributes; readonly messages: readonly Message[] }
  | { readonly admitted: false; readonly reason: string; readonly messages: readonly Message[] };

/** Attestors that ask more often than this do not come to an end. */
const MAX_MESSAGES = 64;
/** With a message missing neither half has more to say: that is told by time alone. */
const SILENCE_MS = 1_500;

/** Runs one attestation through both halves. @throws Mismatch where a half breaks the contract on an honest message */
export async function exchange(
  { server, agent }: Halves,
  { serverCsr, agentCsr, tamper }: ExchangeOptions,
): Promise<ExchangeResult> {
  await using node = await AgentAttestation.open(agent, agentCsr);
  await using judge = await ServerAttestation.open(server, serverCsr);
  const messages: Message[] = [];
  const deliver = (to: Message['to'], bytes: Uint8Array): readonly Uint8Array[] => {
    const message = { index: messages.length, to, bytes };
    messages.push(message);
    return tamper?.(message) ?? [bytes];
  };
  const isHonest = tamper === undefined;
  const limit = <Answer>(step: Promise<Answer>) => (isHonest ? step : withinSilence(step));
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

async function withinSilence<Answer>(step: Promise<Answer>): Promise<Answer> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error('neither half says anything more')), SILENCE_MS);
  try {
    return await Promise.race([step, promise]);
  } finally {
    clearTimeout(timer);
  }
}
