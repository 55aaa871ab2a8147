import { randomBytes } from 'node:crypto';
import { Status } from '../../../spiffe/status.ts';
import { expectAnswer, expectAnything, outcomeOf } from '../outcome.ts';
import { Mismatch, type Rule, requireThat } from '../rule.ts';
import type { Subject } from '../subject.ts';
import { newSigner } from '../throwaway-authority.ts';
import { AgentAttestation } from './attestation-streams.ts';

const common = { source: '§8.3', level: 'must', needs: 'configured' } as const;

/** What needs no server that judges the answers. */
export const agentNodeAttestorRules: readonly Rule[] = [
  {
    ...common,
    id: 'agent-node-attestor.payload',
    title: 'sends a payload that is not empty as soon as the stream is open: the host says nothing first',
    async check(subject) {
      await using node = await open(subject);
      await payloadOf(node);
      return undefined;
    },
  },
  {
    ...common,
    id: 'agent-node-attestor.garbage-challenge',
    title: 'answers a challenge of garbage with a challenge_response that is not empty, an error, or its end',
    check: (subject) => challenge(subject, randomBytes(64)),
  },
  {
    ...common,
    id: 'agent-node-attestor.empty-challenge',
    title: 'takes a challenge of no length for a challenge',
    check: (subject) => challenge(subject, new Uint8Array(0)),
  },
  {
    ...common,
    id: 'agent-node-attestor.half-close',
    title: 'comes to an end where the host closes its side after the payload',
    level: 'should',
    async check(subject) {
      await using node = await open(subject);
      await payloadOf(node);
      node.end();
      const next = await expectAnything(node.receive('challengeResponse'), 'the end of the challenges');
      requireThat(!next.ok || next.answer === undefined, 'the end of the stream', 'another message');
      return undefined;
    },
  },
  {
    ...common,
    id: 'agent-node-attestor.again',
    title: 'attests again after an attestation that the host has cancelled, as it does when the server has decided',
    async check(subject) {
      for (let round = 0; round < 2; round++) {
        const node = await open(subject);
        await payloadOf(node);
        await node[Symbol.asyncDispose]();
      }
      const early = await open(subject);
      await early[Symbol.asyncDispose]();
      await using node = await open(subject);
      await payloadOf(node);
      return undefined;
    },
  },
  {
    ...common,
    id: 'agent-node-attestor.concurrent',
    title: 'attests twice at once, or once the other is over',
    async check(subject) {
      await using one = await open(subject);
      await using other = await open(subject);
      const payloads = [payloadOf(one), payloadOf(other)];
      const isOne = await Promise.race(payloads.map((payload, index) => payload.then(() => index === 0)));
      await (isOne ? one : other)[Symbol.asyncDispose](); // a device may serve one at a time
      await Promise.all(payloads);
      return undefined;
    },
  },
  {
    ...common,
    id: 'agent-node-attestor.metadata',
    title: 'sends a payload where the host tells the key of the CSR in metadata',
    source: '§8.2a',
    async check(subject) {
      await using node = await AgentAttestation.open(await subject.ready(), { csrPublicKey: newSigner().publicKey });
      await payloadOf(node);
      return undefined;
    },
  },
];

async function open(subject: Subject): Promise<AgentAttestation> {
  return await AgentAttestation.open(await subject.ready());
}

async function payloadOf(node: AgentAttestation): Promise<Uint8Array> {
  const payload = await expectAnswer(node.receive('payload'), 'the opening of the stream');
  requireThat(payload !== undefined, 'a payload', 'the end of the stream');
  return payload;
}

async function challenge(subject: Subject, bytes: Uint8Array): Promise<string | undefined> {
  await using node = await open(subject);
  await payloadOf(node);
  await node.send(bytes);
  const outcome = await outcomeOf(node.receive('challengeResponse'));
  if (outcome.ok) return outcome.answer === undefined ? 'it takes no challenge' : undefined;
  if (outcome.status === Status.DeadlineExceeded) throw new Mismatch('an answer, an error or the end', 'none of them');
  return 'it refuses it';
}
