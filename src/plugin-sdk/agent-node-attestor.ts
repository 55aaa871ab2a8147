import {
  type Challenge,
  NodeAttestorDefinition,
  type PayloadOrChallengeResponse,
} from '../gen/spire/plugin/agent/nodeattestor/v1/nodeattestor.ts';
import { bindService } from '../rpc/service.ts';
import { SpiffeError } from '../spiffe/error.ts';
import { type AttestationContext, attestationContext } from './attestation-context.ts';
import { Configuration, type ConfigurationOptions } from './configuration.ts';
import type { Plugin } from './plugin.ts';

export interface AgentNodeAttestorDefinition<Config, State> extends ConfigurationOptions<Config, State> {
  readonly name: string;
  /** Yields the payload first, then receives each challenge and yields the answer to it. */
  aidAttestation(state: State, context: AttestationContext): AsyncGenerator<Uint8Array, void, Uint8Array>;
}

/** The agent's half of a node attestor. Source: `spire.plugin.agent.nodeattestor.v1`. */
export function defineAgentNodeAttestor<Config, State>(definition: AgentNodeAttestorDefinition<Config, State>): Plugin {
  return {
    type: 'NodeAttestor',
    side: 'agent',
    name: definition.name,
    bind(runtime) {
      const configuration = new Configuration(definition, runtime);
      const service = bindService(NodeAttestorDefinition, {
        aidAttestation(challenges, call) {
          const { state, trustDomain } = configuration.current;
          return aid(challenges, definition.aidAttestation(state, attestationContext(runtime, trustDomain, call)));
        },
      });
      return [service, configuration.service];
    },
  };
}

async function* aid(
  challenges: AsyncIterable<Challenge>,
  attestation: AsyncGenerator<Uint8Array, void, Uint8Array>,
): AsyncGenerator<PayloadOrChallengeResponse> {
  try {
    const first = await attestation.next();
    if (first.done === true) throw new SpiffeError('INTERNAL', 'the attestor gave no payload');
    yield { data: { $case: 'payload', value: first.value } };
    for await (const { challenge } of challenges) {
      const step = await attestation.next(challenge);
      if (step.done === true) throw new SpiffeError('ARGUMENT_INVALID', 'the attestor expected no further challenge');
      yield { data: { $case: 'challengeResponse', value: step.value } };
    }
  } finally {
    await attestation.return();
  }
}
