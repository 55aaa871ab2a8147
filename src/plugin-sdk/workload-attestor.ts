import { WorkloadAttestorDefinition as WorkloadAttestorService } from '../gen/spire/plugin/agent/workloadattestor/v1/workloadattestor.ts';
import { BROKER_CALLER_METADATA } from '../rpc/go-plugin.ts';
import { bindService } from '../rpc/service.ts';
import { SpiffeError } from '../spiffe/error.ts';
import { quoteText } from '../spiffe/quote-text.ts';
import { parseSpiffeId, type SpiffeId } from '../spiffe/spiffe-id.ts';
import { Configuration, type ConfigurationOptions } from './configuration.ts';
import type { Plugin } from './plugin.ts';
import type { PluginContext } from './plugin-context.ts';
import { unpackReference, type WorkloadReference } from './workload-reference.ts';

export interface WorkloadContext extends PluginContext {}

export interface WorkloadReferenceContext extends PluginContext {
  /** Who asks on behalf of the workload, where somebody does. */
  readonly callerId?: SpiffeId;
}

export interface WorkloadAttestorDefinition<Config, State> extends ConfigurationOptions<Config, State> {
  readonly name: string;
  /**
   * Tells what the process is.
   *
   * @returns selector values without their type, which is the plugin's name; none is an answer too.
   */
  attest(pid: number, state: State, context: WorkloadContext): Promise<readonly string[]>;
  /**
   * Tells what the workload is that somebody refers to. Without it the host asks by process ID, where it has one.
   *
   * @returns undefined for a kind of reference that the plugin cannot follow; none are an answer too.
   */
  attestReference?(
    reference: WorkloadReference,
    state: State,
    context: WorkloadReferenceContext,
  ): Promise<readonly string[] | undefined>;
}

/** Source: `spire.plugin.agent.workloadattestor.v1`. */
export function defineWorkloadAttestor<Config, State>(definition: WorkloadAttestorDefinition<Config, State>): Plugin {
  return {
    type: 'WorkloadAttestor',
    side: 'agent',
    name: definition.name,
    bind(runtime) {
      const configuration = new Configuration(definition, runtime);
      const { attestReference } = definition;
      const service = bindService(WorkloadAttestorService, {
        async attest({ pid }, { signal }) {
          const { state, trustDomain } = configuration.current;
          // Systems take 0 for whoever asks them, which would be the plugin itself.
          if (pid < 1) throw new SpiffeError('ARGUMENT_INVALID', `${pid} is no process ID`);
          const selectorValues = await definition.attest(pid, state, { ...runtime, trustDomain, signal });
          return { selectorValues: [...selectorValues] };
        },
        ...(attestReference && {
          async attestReference({ reference: packed }, { signal, metadata }) {
            const { state, trustDomain } = configuration.current;
            const reference = unpackReference(packed);
            const caller = metadata.findText(BROKER_CALLER_METADATA);
            const values = await attestReference.call(definition, reference, state, {
              ...runtime,
              trustDomain,
              signal,
              ...(caller === undefined || caller === '' ? {} : { callerId: parseSpiffeId(caller) }),
            });
            if (values !== undefined) return { selectorValues: [...values] };
            const type = quoteText(packed?.typeUrl ?? '');
            throw new SpiffeError('ARGUMENT_INVALID', `references of type ${type} are not supported`);
          },
        }),
      });
      return [service, configuration.service];
    },
  };
}
