import { COMPOSITE, type CompositeRule } from '../../config/composite-rule.ts';
import type { Repositories } from '../../datastore/datastore.ts';
import type { ServerNodeAttestor } from '../../plugin-host/kinds/server-node-attestor.ts';
import { SpiffeError } from '../../spiffe/error.ts';
import type { Selector } from '../../spiffe/selector.ts';
import type { SpiffeId } from '../../spiffe/spiffe-id.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';
import { attestComposite } from './attest-composite.ts';
import { attestByJoinToken, JOIN_TOKEN, type JoinTokens } from './join-token.ts';

/** What the server knows of a node that attested. */
export interface AttestedNode {
  readonly spiffeId: SpiffeId;
  readonly selectors: readonly Selector[];
  readonly canReattest: boolean;
  /** What else vouched for it, where more than one attestor did. */
  readonly legs?: readonly AttestedLeg[];
  /** Takes what is good for one attestation, in the transaction that remembers the agent. Throws where another one has it. */
  readonly claim?: (repositories: Repositories) => Promise<void>;
}

/** A stage of a composite attestation that does not name the agent. */
export interface AttestedLeg {
  readonly attestationType: string;
  /** Of the agent that it would have been by this stage alone. */
  readonly spiffeId: SpiffeId;
  readonly selectors: readonly Selector[];
  /** Remembered for good: whoever shows the same machine again is refused, until that agent is evicted. */
  readonly isOnce: boolean;
}

/** One attestation, as its stream of messages goes on. */
export interface AttestationExchange {
  /** Attestor's name. */
  readonly type: string;
  readonly payload: Uint8Array;
  /** SubjectPublicKeyInfo of the CSR, DER. */
  readonly csrPublicKey: Uint8Array;
  readonly clientAddress?: string;
  /** What stages before this one have found. */
  readonly earlierSelectors?: readonly Selector[];
  /** Sends a challenge to the agent and waits for its answer. */
  readonly challenge: (challenge: Uint8Array) => Promise<Uint8Array>;
  readonly signal: AbortSignal;
}

export interface AttestorsOptions {
  readonly trustDomain: TrustDomain;
  readonly plugins: ReadonlyMap<string, ServerNodeAttestor>;
  /** Absent where the configuration has no NodeAttestor "join_token". */
  readonly joinTokens?: JoinTokens;
  /** Absent where the configuration has no NodeAttestor "composite". */
  readonly composite?: CompositeRule | undefined;
}

/** Hands an attestation to the attestor that it names. */
export class Attestors {
  readonly #options: AttestorsOptions;

  constructor(options: AttestorsOptions) {
    this.#options = options;
  }

  /** @throws SpiffeError `FAILED_PRECONDITION` for a type without attestor; what the attestor refuses with. */
  async attest(exchange: AttestationExchange): Promise<AttestedNode> {
    const { composite } = this.#options;
    const { type } = exchange;
    if (composite === undefined) return await this.#attestAlone(exchange);
    if (type === COMPOSITE) return await attestComposite(exchange, composite, (stage) => this.#attestAlone(stage));
    if (!composite.stages.includes(type) || composite.alsoAlone.has(type)) return await this.#attestAlone(exchange);
    throw new SpiffeError(
      'PERMISSION_DENIED',
      `"${type}" alone does not let an agent in: this server wants NodeAttestor "${COMPOSITE}" of it`,
    );
  }

  async #attestAlone(exchange: AttestationExchange): Promise<AttestedNode> {
    const { trustDomain, plugins, joinTokens } = this.#options;
    const { type, payload, challenge, ...options } = exchange;
    if (type === JOIN_TOKEN && joinTokens !== undefined) return attestByJoinToken(payload, joinTokens, trustDomain);
    const attestor = plugins.get(type);
    if (attestor === undefined) {
      throw new SpiffeError(
        'FAILED_PRECONDITION',
        `no NodeAttestor ${JSON.stringify(type)} is configured on the server`,
      );
    }
    const node = await attestor.attest(payload, challenge, options);
    requireAgentOf(node.spiffeId, trustDomain, type);
    return node;
  }
}

/** An attestor names agents below its own name: no plugin gives out who another one has attested. */
function requireAgentOf(id: SpiffeId, trustDomain: TrustDomain, attestor: string): void {
  const own = `spiffe://${trustDomain}/spire/agent/${attestor}/`;
  if (!id.startsWith(own)) {
    throw new SpiffeError(
      'PLUGIN_PROTOCOL',
      `NodeAttestor "${attestor}" named the agent "${id}", and its agents are below "${own}"`,
    );
  }
}
