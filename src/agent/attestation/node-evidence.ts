import type { AgentAttestation, AgentNodeAttestor } from '../../plugin-host/kinds/agent-node-attestor.ts';
import { SpiffeError } from '../../spiffe/error.ts';
import { CompositeEvidence } from './composite-evidence.ts';

/** How this node proves to the server what it is. */
export interface NodeEvidence {
  /** Name of the server's attestor that judges it. */
  readonly type: string;
  /** False once all there was has been used up. */
  readonly isAvailable: boolean;
  /** Disposed when the server has decided. */
  begin(options: { readonly csrPublicKey: Uint8Array; readonly signal: AbortSignal }): AgentAttestation;
}

export interface NodeEvidenceOptions {
  readonly attestors: readonly AgentNodeAttestor[];
  /** Whether they are the stages of one attestation, and the join token is another. */
  readonly isComposite: boolean;
  readonly joinToken: string | undefined;
}

export function nodeEvidence({ attestors, isComposite, joinToken }: NodeEvidenceOptions): NodeEvidence {
  const ofPlugins = attestors.map(
    (attestor): NodeEvidence => ({
      type: attestor.name,
      isAvailable: true,
      begin: (options) => attestor.attest(options),
    }),
  );
  if (isComposite) {
    return new CompositeEvidence(
      joinToken === undefined ? ofPlugins : [...ofPlugins, new JoinTokenEvidence(joinToken)],
    );
  }
  return ofPlugins[0] ?? new JoinTokenEvidence(joinToken);
}

/** A token that is good once. Inventory P038. */
class JoinTokenEvidence implements NodeEvidence {
  readonly type = 'join_token';
  readonly #token: string | undefined;
  #isUsed = false;

  constructor(token: string | undefined) {
    this.#token = token;
  }

  get isAvailable(): boolean {
    return this.#token !== undefined && !this.#isUsed;
  }

  begin(): AgentAttestation {
    const token = this.#token;
    if (token === undefined) {
      throw new SpiffeError(
        'FAILED_PRECONDITION',
        'there is no join token to attest with: make one with "assayer server token generate" and set join_token or join_token_file',
      );
    }
    return {
      payload: Promise.resolve(new Uint8Array(Buffer.from(token, 'utf8'))),
      respond: async () => {
        throw new SpiffeError(
          'FAILED_PRECONDITION',
          'the server sent a challenge, which a join token has no answer to',
        );
      },
      [Symbol.asyncDispose]: async () => {
        this.#isUsed = true;
      },
    };
  }
}
