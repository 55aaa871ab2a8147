import { COMPOSITE } from '../../config/composite-rule.ts';
import { Offer, StageAnswer, StageChallenge } from '../../gen/assayer/attestation/composite/v1/composite.ts';
import type { AgentAttestation } from '../../plugin-host/kinds/agent-node-attestor.ts';
import { messageOf, SpiffeError } from '../../spiffe/error.ts';
import { quoteText } from '../../spiffe/quote-text.ts';
import type { NodeEvidence } from './node-evidence.ts';

type BeginOptions = Parameters<NodeEvidence['begin']>[0];

/** Several attestors vouch for this node in one attestation, those that the server asks. */
export class CompositeEvidence implements NodeEvidence {
  readonly type = COMPOSITE;
  readonly #stages: readonly NodeEvidence[];

  constructor(stages: readonly NodeEvidence[]) {
    this.#stages = stages;
  }

  get isAvailable(): boolean {
    return this.#stages.some(({ isAvailable }) => isAvailable);
  }

  begin(options: BeginOptions): AgentAttestation {
    const stages = this.#stages.filter(({ isAvailable }) => isAvailable);
    return new CompositeAttestation(new Map(stages.map((stage) => [stage.type, stage])), options);
  }
}

class CompositeAttestation implements AgentAttestation {
  readonly payload: Promise<Uint8Array>;
  readonly #stages: ReadonlyMap<string, NodeEvidence>;
  readonly #options: BeginOptions;
  readonly #begun = new Map<string, AgentAttestation>();

  constructor(stages: ReadonlyMap<string, NodeEvidence>, options: BeginOptions) {
    this.#stages = stages;
    this.#options = options;
    this.payload = Promise.resolve(Offer.encode({ stages: [...stages.keys()] }).finish());
  }

  async respond(bytes: Uint8Array): Promise<Uint8Array> {
    const { stage, challenge } = decodeChallenge(bytes);
    const answer = challenge === undefined ? await this.#begin(stage) : await this.#begunOf(stage).respond(challenge);
    return StageAnswer.encode({ answer }).finish();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#begun.values()].map((attestation) => attestation[Symbol.asyncDispose]()));
  }

  #begin(stage: string): Promise<Uint8Array> {
    const evidence = this.#stages.get(stage);
    if (evidence === undefined) {
      throw new SpiffeError(
        'FAILED_PRECONDITION',
        `the server asks for NodeAttestor ${quoteText(stage)}, which was not offered`,
      );
    }
    if (this.#begun.has(stage)) throw new SpiffeError('FAILED_PRECONDITION', `the server asks twice for "${stage}"`);
    const attestation = evidence.begin(this.#options);
    this.#begun.set(stage, attestation);
    return attestation.payload;
  }

  #begunOf(stage: string): AgentAttestation {
    const begun = this.#begun.get(stage);
    if (begun !== undefined) return begun;
    throw new SpiffeError(
      'FAILED_PRECONDITION',
      `the server challenges ${quoteText(stage)} before it has asked for it`,
    );
  }
}

function decodeChallenge(bytes: Uint8Array): StageChallenge {
  try {
    return StageChallenge.decode(bytes);
  } catch (cause) {
    throw new SpiffeError(
      'INTERNAL',
      `the server sent no challenge of NodeAttestor "${COMPOSITE}": ${messageOf(cause)}`,
      {
        cause,
      },
    );
  }
}
