import { randomBytes } from 'node:crypto';
import { describeOutcome, expectAnything, type Outcome, outcomeOf } from '../outcome.ts';
import { type Rule, requireThat } from '../rule.ts';
import type { Subject } from '../subject.ts';
import { newSigner } from '../throwaway-authority.ts';
import { ServerAttestation, type ServerStep } from './attestation-streams.ts';

const CONCURRENT_NODES = 10;
/** A plugin that goes on asking without end admits nobody. */
const MAX_CHALLENGES = 8;

const common = { source: '§8.2', level: 'must', needs: 'configured' } as const;

/** What needs no node that proves anything: nobody is to be admitted here. */
export const serverNodeAttestorRules: readonly Rule[] = [
  {
    ...common,
    id: 'server-node-attestor.empty-payload',
    title: 'admits nobody for an empty payload',
    check: (subject) => refuse(subject, 'an empty payload', (node) => node.send('payload', new Uint8Array(0))),
  },
  {
    ...common,
    id: 'server-node-attestor.garbage-payload',
    title: 'admits nobody for a payload of garbage, whatever it asks then',
    async check(subject) {
      for (const size of [1, 64, 64 * 1024]) {
        await refuse(subject, `${size} bytes of garbage`, (node) => node.send('payload', randomBytes(size)));
      }
      return undefined;
    },
  },
  {
    ...common,
    id: 'server-node-attestor.answer-first',
    title: 'admits nobody who sends a challenge_response before any challenge',
    check: (subject) =>
      refuse(subject, 'an answer without a challenge', (node) => node.send('challengeResponse', randomBytes(32))),
  },
  {
    ...common,
    id: 'server-node-attestor.neither',
    title: 'admits nobody for a message with neither field',
    check: (subject) => refuse(subject, 'a message with neither field', (node) => node.sendNothing()),
  },
  {
    ...common,
    id: 'server-node-attestor.half-close',
    title: 'comes to an end where the host closes its side before any payload',
    async check(subject) {
      await using node = await open(subject);
      node.end();
      requireRefused(await expectAnything(node.receive(), 'a stream without a payload'), 'a stream without a payload');
      return undefined;
    },
  },
  {
    ...common,
    id: 'server-node-attestor.half-close-later',
    title: 'comes to an end where the host closes its side instead of an answer to a challenge',
    async check(subject) {
      await using node = await open(subject);
      await node.send('payload', randomBytes(64));
      node.end();
      const what = 'a stream that ends after the payload';
      const outcome = await expectAnything(node.receive(), what);
      requireRefused(outcome, what);
      if (outcome.ok && outcome.answer.kind === 'challenge') {
        requireRefused(await expectAnything(node.receive(), what), what, true);
      }
      return undefined;
    },
  },
  {
    ...common,
    id: 'server-node-attestor.cancel',
    title: 'goes on after attestations that the host cancels, before and after the payload',
    async check(subject) {
      const early = await open(subject);
      await early[Symbol.asyncDispose]();
      const late = await open(subject);
      await late.send('payload', randomBytes(64));
      await outcomeOf(late.receive());
      await late[Symbol.asyncDispose]();
      return await refuse(subject, 'garbage after that', (node) => node.send('payload', randomBytes(64)));
    },
  },
  {
    ...common,
    id: 'server-node-attestor.metadata',
    title: 'admits nobody the more for what the host tells of node and CSR in metadata',
    source: '§8.2, §8.2a',
    async check(subject) {
      const session = await subject.ready();
      await using node = await ServerAttestation.open(session, { csrPublicKey: newSigner().publicKey });
      await node.send('payload', randomBytes(64));
      requireRefused(await expectAnything(lastStep(node), 'garbage with a CSR'), 'garbage with a CSR', true);
      return undefined;
    },
  },
  {
    ...common,
    id: 'server-node-attestor.concurrent',
    title: 'refuses several nodes at once, each by itself',
    async check(subject) {
      const nodes = Array.from({ length: CONCURRENT_NODES }, () =>
        refuse(subject, 'garbage, one of ten at once', (node) => node.send('payload', randomBytes(64))),
      );
      await Promise.all(nodes);
      return undefined;
    },
  },
];

async function open(subject: Subject): Promise<ServerAttestation> {
  return await ServerAttestation.open(await subject.ready());
}

async function refuse(
  subject: Subject,
  what: string,
  send: (node: ServerAttestation) => Promise<void>,
): Promise<undefined> {
  await using node = await open(subject);
  await send(node);
  requireRefused(await expectAnything(lastStep(node), what), what, true);
  return undefined;
}

/** Answers every challenge with garbage. @returns the verdict, or the end */
async function lastStep(node: ServerAttestation): Promise<ServerStep> {
  for (let challenges = 0; ; challenges++) {
    const step = await node.receive();
    if (step.kind !== 'challenge' || challenges === MAX_CHALLENGES) return step;
    await node.send('challengeResponse', randomBytes(64));
  }
}

/** @param isLast no further challenge will do */
function requireRefused(outcome: Outcome<ServerStep>, what: string, isLast = false): void {
  if (!outcome.ok) return;
  const { kind } = outcome.answer;
  requireThat(kind !== 'admitted', `a refusal of ${what}`, 'agent_attributes: the node is admitted');
  requireThat(!isLast || kind !== 'challenge', `an end for ${what}`, `${describeOutcome(outcome)}: another challenge`);
}
