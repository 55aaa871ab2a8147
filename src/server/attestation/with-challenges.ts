import { MessageQueue } from '../../rpc/message-queue.ts';

/** What an agent is sent for each challenge: the same in every service that has nodes attest. */
export interface ChallengeStep {
  readonly step: { readonly $case: 'challenge'; readonly value: Uint8Array };
}

/** Yields the challenges of an attestation as they come, and returns what it came to. */
export async function* withChallenges<T>(
  attest: (push: (challenge: Uint8Array) => void) => Promise<T>,
): AsyncGenerator<ChallengeStep, T> {
  const challenges = new MessageQueue<Uint8Array>();
  const attestation = attest((challenge) => challenges.push(challenge)).finally(() => challenges.end());
  attestation.catch(() => {}); // its failure is awaited below, once the challenges have ended
  for await (const challenge of challenges) yield { step: { $case: 'challenge', value: challenge } };
  return await attestation;
}
