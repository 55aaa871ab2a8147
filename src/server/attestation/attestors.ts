import type { Repositories } from '../../datastore/datastore.ts';
import type { ServerNodeAttestor } from '../../plugin-host/kinds/server-node-attestor.ts';
import { SpiffeError } from '../../spiffe/error.ts';
import type { Selector } from '../../spiffe/selector.ts';
import type { SpiffeId } from '../../spiffe/spiffe-id.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';
import { attestByJoinToken, JOIN_TOKEN, type JoinTokens } from './join-token.ts';

/** What the server knows of a node that attested. */
export interface AttestedNode {
  readonly spiffeId: SpiffeId;
  readonly selectors: readonly Selector[];
  readonly canReattest: boolean;
  /** Takes what is good for one attestation, in the transaction that remembers the agent. Throws where another one has it. */
  readonly claim?: (repositories: Repositories) => Promise<void>;
}

/** One attestation, as its stream of messages goes on. */
export interface AttestationExchange {
  /** Attestor's name. */
  readonly type: string;
  readonly payload: Uint8Array;
  /** SubjectPublicKeyInfo of the CSR, DER. */
  readonly csrPublicKey: Uint8Array;
  readonly clientAddress?: string;
  /** Sends a challenge to the agent and waits for its answer. */
  readonly challenge: (challenge: Uint8Array) => Promise<Uint8Array>;
  readonly signal: AbortSignal;
}

export interface AttestorsOptions {
  readonly trustDomain: TrustDomain;
  readonly plugins: ReadonlyMap<string, ServerNodeAttestor>;
  /** Absent where the configuration has no NodeAttestor "join_token". */
  readonly joinTokens?: JoinTokens;
}

/** Hands an attestation to the attestor that it names. */
export class Attestors {
  readonly #options: AttestorsOptions;

  constructor(options: AttestorsOptions) {
    this.#options = options;
  }

  /** @throws SpiffeError `FAILED_PRECONDITION` for a type without attestor; what the attestor refuses with. */
  async attest(exchange: AttestationExchange): Promise<AttestedNode> {
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
