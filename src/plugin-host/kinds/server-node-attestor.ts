import {
  NodeAttestorDefinition,
  type AgentAttributes as WireAgentAttributes,
} from '../../gen/spire/plugin/server/nodeattestor/v1/nodeattestor.ts';
import { ATTESTATION_METADATA } from '../../rpc/go-plugin.ts';
import { messageOf, SpiffeError } from '../../spiffe/error.ts';
import { quoteText } from '../../spiffe/quote-text.ts';
import { formatSelector, type Selector } from '../../spiffe/selector.ts';
import { parseSpiffeId, type SpiffeId } from '../../spiffe/spiffe-id.ts';
import { type Plugin, PluginService } from '../plugin.ts';
import type { PluginGeneration } from '../plugin-generation.ts';
import { pluginSelectors } from './plugin-selectors.ts';

/** The server's half of a node's attestation. */
export interface ServerNodeAttestor {
  readonly name: string;
  /** What it is configured with at this moment: another text once it was reloaded with one. */
  readonly configuration: string;
  /**
   * Judges what a node says of itself.
   *
   * @param challenge hands a challenge to the node, and gives its answer; what it throws ends the attestation unchanged.
   * @throws the plugin's refusal, with its prefix.
   */
  attest(
    payload: Uint8Array,
    challenge: (challenge: Uint8Array) => Promise<Uint8Array>,
    options: ServerAttestOptions,
  ): Promise<AgentAttributes>;
}

export interface ServerAttestOptions {
  /** SubjectPublicKeyInfo of the agent's CSR, DER. */
  readonly csrPublicKey: Uint8Array;
  /** The node's IP address, as the server sees it. */
  readonly clientAddress?: string;
  /** The host part of what the node called the server; nobody vouches for it. */
  readonly forwardedHost?: string;
  /** What other attestors have found of the same node just now. */
  readonly earlierSelectors?: readonly Selector[];
  readonly signal: AbortSignal;
}

/** What a node proved to be. */
export interface AgentAttributes {
  readonly spiffeId: SpiffeId;
  /** Their type is the attestor's name. */
  readonly selectors: readonly Selector[];
  readonly canReattest: boolean;
}

/** Of a whole attestation, the node's answers included; SPIRE has none. */
const DEADLINE_MS = 120_000;
const MAX_HOST_CHARACTERS = 255;
/** Header lists of HTTP/2 have 64 KiB by default, and this one goes as Base64. */
const MAX_EARLIER_BYTES = 32 * 1024;

/** @see plugin-wire §8.2, §8.2a */
export function createServerNodeAttestor(plugin: Plugin): ServerNodeAttestor {
  return {
    name: plugin.name,
    get configuration() {
      return plugin.configuration;
    },
    attest: async (payload, challenge, options) => {
      if (payload.length === 0) throw new SpiffeError('ARGUMENT_INVALID', 'attestation payload is empty');
      const failure: { ofChallenge?: unknown } = {};
      try {
        return await plugin.run((generation) =>
          attest(plugin, generation, payload, options, async (message) => {
            try {
              return await challenge(message);
            } catch (error) {
              failure.ofChallenge = error;
              throw error;
            }
          }),
        );
      } catch (error) {
        throw failure.ofChallenge ?? error; // the node's failure is not the plugin's
      }
    },
  };
}

const service = new PluginService(NodeAttestorDefinition);

async function attest(
  plugin: Plugin,
  generation: PluginGeneration,
  payload: Uint8Array,
  { csrPublicKey, clientAddress = '', forwardedHost = '', earlierSelectors, signal }: ServerAttestOptions,
  challenge: (challenge: Uint8Array) => Promise<Uint8Array>,
): Promise<AgentAttributes> {
  await using call = service.of(generation).attest({
    signal,
    deadlineMs: DEADLINE_MS,
    metadata: {
      [ATTESTATION_METADATA.forwardedHost]: printable(forwardedHost),
      [ATTESTATION_METADATA.clientAddress]: printable(clientAddress),
      [ATTESTATION_METADATA.csrPublicKey]: csrPublicKey,
      ...(earlierSelectors === undefined
        ? {}
        : { [ATTESTATION_METADATA.earlierSelectors]: encodeEarlier(earlierSelectors) }),
    },
  });
  await call.send({ request: { $case: 'payload', value: payload } });
  for (;;) {
    const answer = await call.receive();
    if (answer === undefined) {
      throw new SpiffeError('PLUGIN_PROTOCOL', 'the plugin closed the stream before it had attested the node');
    }
    switch (answer.response?.$case) {
      case 'challenge': // of any length, none too
        await call.send({
          request: { $case: 'challengeResponse', value: await challenge(answer.response.value) },
        });
        break;
      case 'agentAttributes':
        return toAgentAttributes(plugin, answer.response.value);
      default:
        throw new SpiffeError('PLUGIN_PROTOCOL', 'the plugin answered with neither a challenge nor agent attributes');
    }
  }
}

function toAgentAttributes(plugin: Plugin, attributes: WireAgentAttributes): AgentAttributes {
  if (attributes.spiffeId === '')
    throw new SpiffeError('PLUGIN_PROTOCOL', 'the plugin named no SPIFFE ID for the node');
  const selectors = pluginSelectors(plugin, attributes.selectorValues);
  try {
    return { spiffeId: parseSpiffeId(attributes.spiffeId), selectors, canReattest: attributes.canReattest };
  } catch (cause) {
    const reason = messageOf(cause);
    throw new SpiffeError('PLUGIN_PROTOCOL', `the plugin answered ${quoteText(attributes.spiffeId)}: ${reason}`, {
      cause,
    });
  }
}

/** @throws SpiffeError `TOO_LARGE`: a later stage that missed one might admit what it would not. */
function encodeEarlier(selectors: readonly Selector[]): Uint8Array {
  const bytes = Buffer.from(JSON.stringify(selectors.map(formatSelector)), 'utf8');
  if (bytes.length <= MAX_EARLIER_BYTES) return bytes;
  throw new SpiffeError(
    'TOO_LARGE',
    `the selectors that were found before have ${bytes.length} bytes, and a plugin can be told ${MAX_EARLIER_BYTES} at most`,
  );
}

/** What a node called the server is hostile, and a header takes printable ASCII alone. */
function printable(text: string): string {
  return text.length <= MAX_HOST_CHARACTERS && /^[\x21-\x7e]*$/.test(text) ? text : '';
}
