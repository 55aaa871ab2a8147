import {
  type Challenge,
  NodeAttestorDefinition,
  type PayloadOrChallengeResponse,
} from '../../gen/spire/plugin/agent/nodeattestor/v1/nodeattestor.ts';
import type { BidiCall } from '../../rpc/client.ts';
import { ATTESTATION_METADATA } from '../../rpc/go-plugin.ts';
import { SpiffeError } from '../../spiffe/error.ts';
import { type Plugin, PluginService } from '../plugin.ts';
import type { PluginGeneration } from '../plugin-generation.ts';

/** The agent's half of its node's attestation. */
export interface AgentNodeAttestor {
  readonly name: string;
  /** Begins at once; the caller disposes it when the server has decided. */
  attest(options: {
    /** SubjectPublicKeyInfo of the agent's CSR, DER. */
    readonly csrPublicKey: Uint8Array;
    readonly signal: AbortSignal;
  }): AgentAttestation;
}

/** One attestation. Failures carry the plugin's prefix. */
export interface AgentAttestation extends AsyncDisposable {
  /** What the node says of itself; never empty. */
  readonly payload: Promise<Uint8Array>;
  /** The answer to a challenge of the server's half; never empty. */
  respond(challenge: Uint8Array): Promise<Uint8Array>;
}

/** Of a whole attestation, the server's part included; SPIRE has none. */
const DEADLINE_MS = 120_000;

/** @see plugin-wire §8.3, §8.2a */
export function createAgentNodeAttestor(plugin: Plugin): AgentNodeAttestor {
  return {
    name: plugin.name,
    attest: ({ csrPublicKey, signal }) => new PluginAgentAttestation(plugin, csrPublicKey, signal),
  };
}

const service = new PluginService(NodeAttestorDefinition);

type AidCall = BidiCall<Challenge, PayloadOrChallengeResponse>;

/** The process that began an attestation ends it. */
interface Conversation {
  readonly call: AidCall;
  readonly generation: PluginGeneration;
  readonly held: Disposable;
}

class PluginAgentAttestation implements AgentAttestation {
  readonly payload: Promise<Uint8Array>;
  readonly #plugin: Plugin;
  #conversation: Conversation | undefined;

  constructor(plugin: Plugin, csrPublicKey: Uint8Array, signal: AbortSignal) {
    this.#plugin = plugin;
    this.payload = plugin.run(async (generation) => {
      // The plugin speaks first: opening the stream is all it waits for.
      const call = service.of(generation).aidAttestation({
        signal,
        deadlineMs: DEADLINE_MS,
        metadata: { [ATTESTATION_METADATA.csrPublicKey]: csrPublicKey },
      });
      this.#conversation = { call, generation, held: generation.hold() };
      return await receive(call, 'payload');
    });
    this.payload.catch(() => {}); // whoever awaits it sees it
  }

  async respond(challenge: Uint8Array): Promise<Uint8Array> {
    await this.payload;
    if (this.#conversation === undefined) throw new SpiffeError('CANCELLED', 'the attestation has ended');
    const { call, generation } = this.#conversation;
    return await this.#plugin.runOn(generation, async () => {
      await call.send({ challenge });
      return await receive(call, 'challengeResponse');
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const conversation = this.#conversation;
    this.#conversation = undefined;
    await conversation?.call[Symbol.asyncDispose]();
    conversation?.held[Symbol.dispose]();
  }
}

const WORDS = { payload: 'payload', challengeResponse: 'challenge response' } as const;

/** @throws SpiffeError `PLUGIN_PROTOCOL` where the next message is not what it has to be. */
async function receive(call: AidCall, wanted: 'payload' | 'challengeResponse'): Promise<Uint8Array> {
  const what = WORDS[wanted];
  const message = await call.receive();
  if (message === undefined)
    throw new SpiffeError('PLUGIN_PROTOCOL', `the plugin closed the stream before its ${what}`);
  if (message.data?.$case !== wanted) {
    throw new SpiffeError(
      'PLUGIN_PROTOCOL',
      `the plugin sent ${message.data?.$case ?? 'nothing'} where a ${what} was due`,
    );
  }
  if (message.data.value.length === 0) throw new SpiffeError('PLUGIN_PROTOCOL', `the plugin sent an empty ${what}`);
  return message.data.value;
}
