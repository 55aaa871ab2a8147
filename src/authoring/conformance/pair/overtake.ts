import { AgentAttestation, ServerAttestation } from '../kinds/attestation-streams.ts';
import { describeOutcome, outcomeOf } from '../outcome.ts';
import { Mismatch, NotApplicable, requireThat } from '../rule.ts';
import { newSigner } from '../throwaway-authority.ts';
import { ATTESTATION_MS, type Halves } from './exchange.ts';

/**
 * Opens two attestations in the server's half for one node, which answers the challenge of the first. The answer must
 * not do for the second, and must still do for the first.
 */
export async function overtake({ server, agent }: Halves): Promise<undefined> {
  const options = { csrPublicKey: newSigner().publicKey, deadlineMs: ATTESTATION_MS };
  await using node = await AgentAttestation.open(agent, options);
  const payload = await node.receive('payload');
  requireThat(payload !== undefined, 'a payload', 'the end of the stream');
  await using first = await ServerAttestation.open(server, options);
  await using second = await ServerAttestation.open(server, options);
  await first.send('payload', payload);
  const asked = await first.receive();
  if (asked.kind !== 'challenge') throw new NotApplicable('it asks no challenge');
  await second.send('payload', payload);
  const other = await second.receive();
  requireThat(other.kind === 'challenge', 'a challenge for the second attestation too', `it ${other.kind}`);

  await node.send(asked.challenge);
  const answer = await node.receive('challengeResponse');
  requireThat(answer !== undefined, 'a challenge_response', 'the end of the stream');
  await second.send('challengeResponse', answer);
  const refused = await outcomeOf(second.receive());
  if (refused.ok && refused.answer.kind === 'admitted') {
    throw new Mismatch('a refusal of an answer to another challenge', 'agent_attributes: the node is admitted');
  }
  await first.send('challengeResponse', answer);
  const admitted = await outcomeOf(first.receive());
  const came = admitted.ok ? `${admitted.answer.kind}` : describeOutcome(admitted);
  const isOver = admitted.ok && admitted.answer.kind !== 'ended'; // another challenge is as good
  requireThat(isOver, 'that the answer does for the challenge it is to', came);
  return undefined;
}
