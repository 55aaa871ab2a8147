import type { AttestationMessage } from '../attestation/run-attestation.ts';
import type { Admission, Verdict } from '../attestation/verdict.ts';
import type { Transcript } from './transcript.ts';
import { nameOfStatus } from './transcript-schema.ts';

/** `unfinished`: the server half wants what was not recorded, and could not decide. */
export type ReplayedVerdict = Verdict | { readonly outcome: 'unfinished'; readonly message: string };

/** The first thing that is not as it was recorded. Messages are counted from 1, in both directions. */
export interface Divergence {
  readonly message: number;
  readonly what: string;
}

/** A part of the verdict; absent on a side that does not have it. */
export interface Difference {
  readonly field: 'outcome' | 'status' | 'spiffe_id' | 'selector' | 'can_reattest';
  readonly recorded?: string;
  readonly replayed?: string;
}

/** What became of a transcript. */
export interface Replay {
  readonly recordedAt: Date;
  readonly randomness: 'recorded' | 'fresh';
  readonly configuration: 'recorded' | 'given';
  /** Files of the server half that are not as they were recorded. */
  readonly changedFiles: readonly string[];
  readonly recorded: Verdict;
  readonly replayed: ReplayedVerdict;
  /** Absent where everything was the same. */
  readonly divergence?: Divergence;
  /** None where the verdict is the same. */
  readonly differences: readonly Difference[];
  /** What an author should know, whatever the verdict. */
  readonly warnings: readonly string[];
}

export interface ReplayFacts extends Pick<Replay, 'randomness' | 'configuration' | 'changedFiles'> {
  readonly transcript: Transcript;
  readonly messages: readonly AttestationMessage[];
  readonly verdict: ReplayedVerdict;
  readonly unrecordedDraw: string | undefined;
}

export function compareReplay(facts: ReplayFacts): Replay {
  const { transcript, verdict, randomness, configuration, changedFiles } = facts;
  const divergence = findDivergence(facts);
  return {
    recordedAt: transcript.recordedAt,
    randomness,
    configuration,
    changedFiles,
    recorded: transcript.verdict,
    replayed: verdict,
    ...(divergence === undefined ? {} : { divergence }),
    differences: differencesBetween(transcript.verdict, verdict),
    warnings: warningsOf(facts),
  };
}

function findDivergence({ transcript, messages, verdict, unrecordedDraw }: ReplayFacts): Divergence | undefined {
  const { length } = transcript.messages;
  for (const [index, { kind, bytes }] of messages.entries()) {
    const recorded = transcript.messages[index];
    const message = index + 1;
    if (recorded === undefined) return { message, what: `a ${kind} where it had decided when recorded` };
    if (Buffer.compare(recorded.bytes, bytes) !== 0) return { message, what: `another ${kind} than was recorded` };
  }
  const message = messages.length + 1;
  if (unrecordedDraw !== undefined) return { message, what: unrecordedDraw };
  if (messages.length < length) return { message, what: 'a verdict where it had sent a challenge when recorded' };
  return differencesBetween(transcript.verdict, verdict).length === 0
    ? undefined
    : { message, what: 'another verdict' };
}

function differencesBetween(recorded: Verdict, replayed: ReplayedVerdict): readonly Difference[] {
  if (recorded.outcome !== replayed.outcome) {
    return [{ field: 'outcome', recorded: recorded.outcome, replayed: replayed.outcome }];
  }
  if (recorded.outcome === 'admitted' && replayed.outcome === 'admitted') return ofAdmissions(recorded, replayed);
  if (recorded.outcome === 'refused' && replayed.outcome === 'refused' && recorded.status !== replayed.status) {
    return [{ field: 'status', recorded: nameOfStatus(recorded.status), replayed: nameOfStatus(replayed.status) }];
  }
  return [];
}

/** Selectors are a set: their order is not looked at. */
function ofAdmissions(recorded: Admission, replayed: Admission): readonly Difference[] {
  const [before, after] = [new Set(recorded.selectorValues), new Set(replayed.selectorValues)];
  const differences: Difference[] = [];
  if (recorded.spiffeId !== replayed.spiffeId) {
    differences.push({ field: 'spiffe_id', recorded: recorded.spiffeId, replayed: replayed.spiffeId });
  }
  for (const value of before) if (!after.has(value)) differences.push({ field: 'selector', recorded: value });
  for (const value of after) if (!before.has(value)) differences.push({ field: 'selector', replayed: value });
  if (recorded.canReattest !== replayed.canReattest) {
    differences.push({
      field: 'can_reattest',
      recorded: String(recorded.canReattest),
      replayed: String(replayed.canReattest),
    });
  }
  return differences;
}

function warningsOf({ transcript, messages, verdict, randomness }: ReplayFacts): readonly string[] {
  const warnings: string[] = [];
  const challenges = messages.filter(({ kind }) => kind === 'challenge');
  const hadChallenges = transcript.messages.length > 1;
  const isOther = messages.some(
    ({ kind, bytes }, index) =>
      kind === 'challenge' && Buffer.compare(bytes, transcript.messages[index]?.bytes ?? new Uint8Array(0)) !== 0,
  );
  if (verdict.outcome === 'admitted' && isOther) {
    warnings.push('the recorded answer was taken for another challenge: the answer is not bound to the challenge');
  }
  if (verdict.outcome === 'admitted' && randomness === 'fresh' && !isOther) {
    warnings.push(
      challenges.length === 0
        ? 'the node was admitted without a challenge: whoever has a payload can use it again'
        : 'the challenge is the same every time: whoever has an answer can use it again',
    );
  }
  if (randomness === 'recorded' && isOther && transcript.draws.random.length === 0) {
    warnings.push(
      'the server half draws its challenge by itself: for a replay with the same verdict it has to draw with the host service Randomness',
    );
  }
  if (randomness === 'fresh' && verdict.outcome === 'refused' && hadChallenges && challenges.length === 0) {
    warnings.push('it was refused before any challenge: this says nothing about the answer to one');
  }
  return warnings;
}
