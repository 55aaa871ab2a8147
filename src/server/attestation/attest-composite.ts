import { COMPOSITE, type CompositeRule } from '../../config/composite-rule.ts';
import { isSatisfiedBy } from '../../config/stage-expression.ts';
import { Offer, StageAnswer, StageChallenge } from '../../gen/assayer/attestation/composite/v1/composite.ts';
import { refusalWith } from '../../rpc/operator-reason.ts';
import { messageOf, SpiffeError } from '../../spiffe/error.ts';
import { quoteText } from '../../spiffe/quote-text.ts';
import type { Selector } from '../../spiffe/selector.ts';
import type { AttestationExchange, AttestedLeg, AttestedNode } from './attestors.ts';

interface Stage {
  readonly name: string;
  readonly node: AttestedNode;
}

const MAX_OFFER_BYTES = 4096;

/**
 * Has every stage that the node offers and the expression names judge it, one after the other, each told what those before it have
 * found. One that refuses refuses the node, also where the expression would be content without it: whoever forges is not let off.
 */
export async function attestComposite(
  exchange: AttestationExchange,
  rule: CompositeRule,
  attestStage: (stage: AttestationExchange) => Promise<AttestedNode>,
): Promise<AttestedNode> {
  const offered = decodeOffer(exchange.payload);
  const chosen = rule.stages.filter((stage) => offered.has(stage));
  if (!isSatisfiedBy(rule.expression, new Set(chosen))) {
    const offers = [...offered].map((name) => quoteText(name)).join(', ') || 'no attestor';
    throw refusalWith(
      'PERMISSION_DENIED',
      'the attestors of this node are not those that let it in',
      `the node offers ${offers}, which is not enough for the expression of NodeAttestor "${COMPOSITE}"`,
    );
  }
  const stages: Stage[] = [];
  for (const name of chosen) {
    const earlierSelectors = stages.flatMap(({ node }) => node.selectors);
    stages.push({ name, node: await judge(name, exchange, earlierSelectors, attestStage) });
  }
  return combine(stages, rule);
}

async function judge(
  stage: string,
  exchange: AttestationExchange,
  earlierSelectors: readonly Selector[],
  attestStage: (stage: AttestationExchange) => Promise<AttestedNode>,
): Promise<AttestedNode> {
  const ask = async (challenge?: Uint8Array) =>
    decodeAnswer(await exchange.challenge(StageChallenge.encode({ stage, challenge }).finish()), stage);
  const payload = await ask();
  if (payload.length === 0) throw new SpiffeError('ARGUMENT_INVALID', `the payload of "${stage}" is empty`);
  return await attestStage({ ...exchange, type: stage, payload, earlierSelectors, challenge: ask });
}

function combine(stages: readonly Stage[], { agentIdFrom }: CompositeRule): AttestedNode {
  const named = stages.find(({ name }) => name === agentIdFrom);
  if (named === undefined) throw new SpiffeError('INTERNAL', `"${agentIdFrom}" has not judged the node`);
  const claims = stages.flatMap(({ node }) => (node.claim === undefined ? [] : [node.claim]));
  return {
    spiffeId: named.node.spiffeId,
    selectors: stages.flatMap(({ node }) => node.selectors),
    canReattest: stages.every(({ node }) => node.canReattest),
    legs: stages.flatMap((stage) => (stage === named ? [] : [toLeg(stage)])),
    async claim(repositories) {
      for (const claim of claims) await claim(repositories);
    },
  };
}

/** What takes something of its own, such as a join token, is used up by that. */
function toLeg({ name, node: { spiffeId, selectors, canReattest, claim } }: Stage): AttestedLeg {
  return { attestationType: name, spiffeId, selectors, isOnce: !canReattest && claim === undefined };
}

function decodeOffer(payload: Uint8Array): ReadonlySet<string> {
  if (payload.length > MAX_OFFER_BYTES) {
    throw new SpiffeError('ARGUMENT_INVALID', `the offer has ${payload.length} bytes, ${MAX_OFFER_BYTES} at most`);
  }
  return new Set(decode(() => Offer.decode(payload).stages, 'the offer'));
}

function decodeAnswer(bytes: Uint8Array, stage: string): Uint8Array {
  return decode(() => StageAnswer.decode(bytes).answer, `the answer of "${stage}"`);
}

function decode<Value>(read: () => Value, what: string): Value {
  try {
    return read();
  } catch (cause) {
    throw new SpiffeError(
      'ARGUMENT_INVALID',
      `${what} is no message of NodeAttestor "${COMPOSITE}": ${messageOf(cause)}`,
      {
        cause,
      },
    );
  }
}
