import { Doubt, Mismatch, type Rule } from '../rule.ts';
import type { Subject } from '../subject.ts';
import { newSigner } from '../throwaway-authority.ts';
import { exchange, type Message } from './exchange.ts';
import { admit, halvesOf } from './pair.ts';
import { doubled, emptied, flips, missing, nameOf, replayed, type Tampering, truncations } from './tamper.ts';

/** A TPM takes its time, and there are many runs. */
const SLOW_MS = 600_000;
const MAX_NAMED = 8;
/** Longer where an honest attestation takes long. */
const MIN_SILENCE_MS = 1_500;

const common = { source: '§8.2, §8.3', level: 'must', needs: 'configured', deadlineMs: SLOW_MS } as const;

/** @param isAlone whether there is no other message */
type Plan = (message: Message, earlier: Message, isAlone: boolean) => readonly Tampering[];

/** Somebody between the two halves. */
export const tamperRules: readonly Rule[] = [
  {
    ...common,
    id: 'pair.flipped',
    title: 'admits nobody where a bit of a message was flipped on the way; of the payload not every bit has to count',
    check: (subject) => tryAll(subject, flips, 0),
  },
  {
    ...common,
    id: 'pair.truncated',
    title: 'admits nobody where a message was cut short on the way',
    check: (subject) => tryAll(subject, truncations),
  },
  {
    ...common,
    id: 'pair.emptied',
    title: 'admits nobody where a message was emptied on the way',
    check: (subject) => tryAll(subject, emptied),
  },
  {
    ...common,
    id: 'pair.replayed',
    title: 'admits nobody where a message was replaced by that of an earlier attestation',
    check: (subject) => tryAll(subject, replayAll),
  },
  {
    ...common,
    id: 'pair.extra',
    title: 'admits nobody where a message came before one that was recorded in an earlier attestation',
    check: (subject) => tryAll(subject, doubleAll),
  },
  {
    ...common,
    id: 'pair.missing',
    title: 'admits nobody where a message got lost on the way',
    check: (subject) => tryAll(subject, missing),
  },
];

/** @param doubtful index of the message whose changes a plugin may have reason not to look at */
async function tryAll(subject: Subject, plan: Plan, doubtful?: number): Promise<string> {
  const halves = await halvesOf(subject);
  const csr = newSigner().publicKey;
  const earlier = await admit(halves, { serverCsr: csr, agentCsr: csr });
  const startedAtMs = performance.now();
  const recorded = await admit(halves, { serverCsr: csr, agentCsr: csr });
  const silenceMs = Math.max(MIN_SILENCE_MS, 3 * (performance.now() - startedAtMs));
  const tamperings = recorded.messages.flatMap((message) => {
    const before = earlier.messages[message.index];
    return before === undefined ? [] : plan(message, before, recorded.messages.length === 1);
  });
  if (tamperings.length === 0)
    throw new Doubt('it is a single message, the same in every run: whoever has it is admitted');
  const admitted: Tampering[] = [];
  for (const tampering of tamperings) {
    const result = await exchange(halves, { serverCsr: csr, agentCsr: csr, tamper: tampering.tamper, silenceMs });
    if (result.admitted) admitted.push(tampering);
  }
  await admit(halves, { serverCsr: csr, agentCsr: csr });
  const wrong = admitted.filter(({ index }) => index !== doubtful);
  if (wrong.length > 0) throw new Mismatch('a refusal', `that the node is admitted with ${list(wrong)}`);
  if (admitted.length > 0) throw new Doubt(`admitted with ${list(admitted)}: nothing vouches for these bits`);
  return `${tamperings.length} runs refused`;
}

function list(tamperings: readonly Tampering[]): string {
  const named = tamperings.slice(0, MAX_NAMED).map(({ what }) => what);
  return [...named, ...(tamperings.length > MAX_NAMED ? [`${tamperings.length - MAX_NAMED} more`] : [])].join(', ');
}

/** @throws Mismatch, Doubt where a message that should be fresh is the same in every run */
function replayAll(message: Message, earlier: Message): readonly Tampering[] {
  if (Buffer.compare(message.bytes, earlier.bytes) !== 0) return replayed(message, earlier);
  if (message.index === 0) return []; // a node may say the same of itself every time: its answers have to be fresh
  throw new Mismatch('a message that is fresh in every attestation', `the same ${nameOf(message)} twice`);
}

/** The payload of an earlier attestation is all that there was of it where nothing else is asked for. */
function doubleAll(message: Message, earlier: Message, isAlone: boolean): readonly Tampering[] {
  return isAlone ? [] : doubled(message, earlier);
}
