import {
  type AttestRequest,
  type AttestResponse,
  NodeAttestorDefinition,
} from '../gen/spire/plugin/server/nodeattestor/v1/nodeattestor.ts';
import { bindService } from '../rpc/service.ts';
import { SpiffeError } from '../spiffe/error.ts';
import type { SpiffeId } from '../spiffe/spiffe-id.ts';
import { type AttestationContext, attestationContext } from './attestation-context.ts';
import { Configuration, type ConfigurationOptions } from './configuration.ts';
import { type Freshness, freshnessOf } from './freshness.ts';
import type { Plugin } from './plugin.ts';

/** The verdict on a node that proved what it is. */
export interface AgentAttributes {
  readonly spiffeId: SpiffeId;
  /** Without the type, which is the plugin's name: `pub_hash:…`. */
  readonly selectorValues: readonly string[];
  /** Whether the same node may attest again while its agent is known. */
  readonly canReattest: boolean;
}

/** What the server's half knows of the attestation. All that it draws and every time it asks for can be recorded and replayed. */
export interface ServerAttestationContext extends AttestationContext, Freshness {}

export interface ServerNodeAttestorDefinition<Config, State> extends ConfigurationOptions<Config, State> {
  readonly name: string;
  /** Yields a challenge, receives the answer, returns the verdict. Any throw refuses the node. */
  attest(
    payload: Uint8Array,
    state: State,
    context: ServerAttestationContext,
  ): AsyncGenerator<Uint8Array, AgentAttributes, Uint8Array>;
}

/** The server's half of a node attestor. Source: `spire.plugin.server.nodeattestor.v1`. */
export function defineServerNodeAttestor<Config, State>(
  definition: ServerNodeAttestorDefinition<Config, State>,
): Plugin {
  return {
    type: 'NodeAttestor',
    side: 'server',
    name: definition.name,
    bind(runtime) {
      const configuration = new Configuration(definition, runtime);
      const freshness = freshnessOf(runtime.host);
      const service = bindService(NodeAttestorDefinition, {
        attest(requests, call) {
          const { state, trustDomain } = configuration.current;
          return attest(requests, (payload) =>
            definition.attest(payload, state, { ...attestationContext(runtime, trustDomain, call), ...freshness }),
          );
        },
      });
      return [service, configuration.service];
    },
  };
}

async function* attest(
  requests: AsyncIterable<AttestRequest>,
  start: (payload: Uint8Array) => AsyncGenerator<Uint8Array, AgentAttributes, Uint8Array>,
): AsyncGenerator<AttestResponse> {
  const incoming = requests[Symbol.asyncIterator]();
  const attestation = start(await receive(incoming, 'payload'));
  let finished = false;
  try {
    let step = await attestation.next();
    while (step.done !== true) {
      yield { response: { $case: 'challenge', value: step.value } };
      step = await attestation.next(await receive(incoming, 'challengeResponse'));
    }
    finished = true;
    const { spiffeId, selectorValues, canReattest } = step.value;
    yield {
      response: { $case: 'agentAttributes', value: { spiffeId, selectorValues: [...selectorValues], canReattest } },
    };
  } finally {
    // Lets an attestor that waits for an answer clean up; its own failure is already on its way.
    if (!finished) await attestation.throw(new SpiffeError('CANCELLED', 'the attestation ended early')).catch(() => {});
  }
}

async function receive(
  incoming: AsyncIterator<AttestRequest>,
  expected: 'payload' | 'challengeResponse',
): Promise<Uint8Array> {
  const { value, done } = await incoming.next();
  const request: AttestRequest['request'] = done === true ? undefined : value.request;
  if (request?.$case !== expected) {
    const wanted = expected === 'payload' ? 'a payload' : 'the answer to its challenge';
    const got = request?.$case ?? (done === true ? 'the end of the stream' : 'a message with neither');
    throw new SpiffeError('ARGUMENT_INVALID', `expected ${wanted}, got ${got}`);
  }
  return request.value;
}
