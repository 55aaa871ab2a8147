import { WorkloadAttestorDefinition as WorkloadAttestorService } from '../gen/spire/plugin/agent/workloadattestor/v1/workloadattestor.ts';
import { bindService } from '../rpc/service.ts';
import type { TrustDomain } from '../spiffe/trust-domain.ts';
import { Configuration, type ConfigurationOptions } from './configuration.ts';
import type { Plugin, PluginRuntime } from './plugin.ts';

export interface WorkloadContext extends PluginRuntime {
  readonly trustDomain: TrustDomain;
  readonly signal: AbortSignal;
}

export interface WorkloadAttestorDefinition<Config, State> extends ConfigurationOptions<Config, State> {
  readonly name: string;
  /**
   * Tells what the process is.
   *
   * @returns selector values without their type, which is the plugin's name; none is an answer too.
   */
  attest(pid: number, state: State, context: WorkloadContext): Promise<readonly string[]>;
}

/** Source: `spire.plugin.agent.workloadattestor.v1`. */
export function defineWorkloadAttestor<Config, State>(definition: WorkloadAttestorDefinition<Config, State>): Plugin {
  return {
    type: 'WorkloadAttestor',
    side: 'agent',
    name: definition.name,
    bind(runtime) {
      const configuration = new Configuration(definition, runtime);
      const service = bindService(WorkloadAttestorService, {
        async attest({ pid }, { signal }) {
          const { state, trustDomain } = configuration.current;
          const selectorValues = await definition.attest(pid, state, { ...runtime, trustDomain, signal });
          return { selectorValues: [...selectorValues] };
        },
      });
      return [service, configuration.service];
    },
  };
}
