import {
  NodeAttestorDefinition as AgentNodeAttestorDefinition,
  type Challenge,
  type PayloadOrChallengeResponse,
} from '../../../gen/spire/plugin/agent/nodeattestor/v1/nodeattestor.ts';
import {
  type AgentAttributes,
  type AttestRequest,
  type AttestResponse,
  NodeAttestorDefinition as ServerNodeAttestorDefinition,
} from '../../../gen/spire/plugin/server/nodeattestor/v1/nodeattestor.ts';
import type { BidiCall } from '../../../rpc/client.ts';
import { ATTESTATION_METADATA } from '../../../rpc/go-plugin.ts';
import { Mismatch, requireThat } from '../rule.ts';
import type { Session } from '../session.ts';

/** What the server's half says to a node: the next challenge, or that it is admitted. */
export type ServerStep =
  | { readonly kind: 'challenge'; readonly challenge: Uint8Array }
  | { readonly kind: 'admitted'; readonly attributes: AgentAttributes }
  | { readonly kind: 'ended' };

/** Of one half that is tried by itself, in which a device may be at work. */
const ALONE_MS = 20_000;

export interface StreamOptions {
  /** SubjectPublicKeyInfo (DER); absent, as under a host that does not tell it. */
  readonly csrPublicKey?: Uint8Array | undefined;
  readonly deadlineMs?: number;
}

export type RequestKind = 'payload' | 'challengeResponse';

/** One attestation in the server's half. Disposing cancels it. */
export class ServerAttestation implements AsyncDisposable {
  readonly #call: BidiCall<AttestRequest, AttestResponse>;

  private constructor(call: BidiCall<AttestRequest, AttestResponse>) {
    this.#call = call;
  }

  static async open(session: Session, options: StreamOptions = {}): Promise<ServerAttestation> {
    const { csrPublicKey, deadlineMs = ALONE_MS } = options;
    const client = await session.client(ServerNodeAttestorDefinition);
    const metadata = {
      [ATTESTATION_METADATA.forwardedHost]: 'server.example.org',
      [ATTESTATION_METADATA.clientAddress]: '192.0.2.7',
      ...(csrPublicKey === undefined ? {} : { [ATTESTATION_METADATA.csrPublicKey]: csrPublicKey }),
    };
    return new ServerAttestation(client.attest({ deadlineMs, metadata }));
  }

  async send(kind: RequestKind, value: Uint8Array): Promise<void> {
    await this.#call.send({ request: { $case: kind, value } });
  }

  async sendNothing(): Promise<void> {
    await this.#call.send({ request: undefined });
  }

  end(): void {
    this.#call.end();
  }

  /** @throws Mismatch for a message with neither field; RemoteError for a refusal */
  async receive(): Promise<ServerStep> {
    const message = await this.#call.receive();
    if (message === undefined) return { kind: 'ended' };
    switch (message.response?.$case) {
      case 'challenge':
        return { kind: 'challenge', challenge: message.response.value };
      case 'agentAttributes':
        return { kind: 'admitted', attributes: message.response.value };
      default:
        throw new Mismatch('a challenge or agent_attributes', 'a message with neither');
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#call[Symbol.asyncDispose]();
  }
}

/** One attestation in the agent's half. Disposing cancels it. */
export class AgentAttestation implements AsyncDisposable {
  readonly #call: BidiCall<Challenge, PayloadOrChallengeResponse>;

  private constructor(call: BidiCall<Challenge, PayloadOrChallengeResponse>) {
    this.#call = call;
  }

  static async open(session: Session, options: StreamOptions = {}): Promise<AgentAttestation> {
    const { csrPublicKey, deadlineMs = ALONE_MS } = options;
    const client = await session.client(AgentNodeAttestorDefinition);
    const metadata = csrPublicKey === undefined ? {} : { [ATTESTATION_METADATA.csrPublicKey]: csrPublicKey };
    return new AgentAttestation(client.aidAttestation({ deadlineMs, metadata }));
  }

  async send(challenge: Uint8Array): Promise<void> {
    await this.#call.send({ challenge });
  }

  end(): void {
    this.#call.end();
  }

  /** @returns undefined at the end of the stream. @throws Mismatch for another field, or an empty one */
  async receive(kind: RequestKind): Promise<Uint8Array | undefined> {
    const message = await this.#call.receive();
    if (message === undefined) return undefined;
    const wanted = kind === 'payload' ? 'a payload' : 'a challenge_response';
    const came = message.data === undefined ? 'a message with neither field' : `a ${message.data.$case}`;
    requireThat(message.data?.$case === kind, wanted, came);
    requireThat(message.data.value.length > 0, `${wanted} that is not empty`, 'an empty one');
    return message.data.value;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#call[Symbol.asyncDispose]();
  }
}
