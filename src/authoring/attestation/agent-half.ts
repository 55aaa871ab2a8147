import {
  type Challenge,
  NodeAttestorDefinition,
  type PayloadOrChallengeResponse,
} from '../../gen/spire/plugin/agent/nodeattestor/v1/nodeattestor.ts';
import type { BidiCall } from '../../rpc/client.ts';
import { ATTESTATION_METADATA } from '../../rpc/go-plugin.ts';
import { SpiffeError } from '../../spiffe/error.ts';
import type { PluginHalf } from './plugin-half.ts';

/** Whoever plays the agent's part in an attestation. */
export interface AgentHalf {
  payload(): Promise<Uint8Array>;
  /** @throws to end the attestation, unchanged */
  respond(challenge: Uint8Array): Promise<Uint8Array>;
}

/** Of a whole attestation. */
const DEADLINE_MS = 120_000;

/** The agent half of a plugin, in one attestation. Disposing ends that. */
export class PluginAgentHalf implements AgentHalf, AsyncDisposable {
  readonly #half: PluginHalf;
  readonly #call: BidiCall<Challenge, PayloadOrChallengeResponse>;

  constructor(half: PluginHalf, csrPublicKey: Uint8Array) {
    this.#half = half;
    const metadata = { [ATTESTATION_METADATA.csrPublicKey]: csrPublicKey };
    this.#call = half.client(NodeAttestorDefinition).aidAttestation({ deadlineMs: DEADLINE_MS, metadata });
  }

  async payload(): Promise<Uint8Array> {
    return await this.#receive('payload');
  }

  async respond(challenge: Uint8Array): Promise<Uint8Array> {
    await this.#call.send({ challenge });
    return await this.#receive('challengeResponse');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#call[Symbol.asyncDispose]();
  }

  async #receive(wanted: 'payload' | 'challengeResponse'): Promise<Uint8Array> {
    try {
      const message = await this.#call.receive();
      if (message?.data?.$case === wanted) return message.data.value;
      const got = message === undefined ? 'the end of the stream' : (message.data?.$case ?? 'an empty message');
      throw new SpiffeError('PLUGIN_PROTOCOL', `it sent ${got} where a ${wanted} was due`);
    } catch (error) {
      throw await this.#half.describe(error);
    }
  }
}
