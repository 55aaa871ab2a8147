import { BundlePublisherDefinition as BundlePublisherService } from '../gen/spire/plugin/server/bundlepublisher/v1/bundlepublisher.ts';
import { fromWireBundle } from '../rpc/plugin-bundle.ts';
import { bindService } from '../rpc/service.ts';
import type { Bundle } from '../spiffe/bundle.ts';
import { Configuration, type ConfigurationOptions } from './configuration.ts';
import type { Plugin } from './plugin.ts';
import type { PluginContext } from './plugin-context.ts';

export interface BundlePublisherDefinition<Config, State> extends ConfigurationOptions<Config, State> {
  readonly name: string;
  /**
   * Puts the bundle where others find it. Hosts call it with the same bundle again and again, SPIRE's every 30 s:
   * leave out what is published already. A throw is a line in the server's log, and the next call comes anyway.
   */
  publishBundle(bundle: Bundle, state: State, context: PluginContext): Promise<void>;
}

/** Source: `spire.plugin.server.bundlepublisher.v1`. */
export function defineBundlePublisher<Config, State>(definition: BundlePublisherDefinition<Config, State>): Plugin {
  return {
    type: 'BundlePublisher',
    side: 'server',
    name: definition.name,
    bind(runtime) {
      const configuration = new Configuration(definition, runtime);
      const service = bindService(BundlePublisherService, {
        async publishBundle({ bundle }, { signal }) {
          const { state, trustDomain } = configuration.current;
          await definition.publishBundle(fromWireBundle(bundle), state, { ...runtime, trustDomain, signal });
          return {};
        },
      });
      return [service, configuration.service];
    },
  };
}
