import { NotifierDefinition as NotifierService } from '../gen/spire/plugin/server/notifier/v1/notifier.ts';
import { fromWireBundle } from '../rpc/plugin-bundle.ts';
import { bindService } from '../rpc/service.ts';
import type { Bundle } from '../spiffe/bundle.ts';
import { Configuration, type ConfigurationOptions } from './configuration.ts';
import type { Plugin } from './plugin.ts';
import type { PluginContext } from './plugin-context.ts';

export interface NotifierDefinition<Config, State> extends ConfigurationOptions<Config, State> {
  readonly name: string;
  /** The trust bundle has changed. A throw is a line in the server's log, no more. */
  bundleUpdated?(bundle: Bundle, state: State, context: PluginContext): Promise<void>;
  /** The server starts with this trust bundle. A throw stops it. */
  bundleLoaded?(bundle: Bundle, state: State, context: PluginContext): Promise<void>;
}

/** Events that the notifier has no function for are taken without a word. Source: `spire.plugin.server.notifier.v1`. */
export function defineNotifier<Config, State>(definition: NotifierDefinition<Config, State>): Plugin {
  return {
    type: 'Notifier',
    side: 'server',
    name: definition.name,
    bind(runtime) {
      const configuration = new Configuration(definition, runtime);
      const service = bindService(NotifierService, {
        async notify({ event }, { signal }) {
          const { state, trustDomain } = configuration.current;
          if (event?.$case !== 'bundleUpdated') return {};
          await definition.bundleUpdated?.(fromWireBundle(event.value.bundle), state, {
            ...runtime,
            trustDomain,
            signal,
          });
          return {};
        },
        async notifyAndAdvise({ event }, { signal }) {
          const { state, trustDomain } = configuration.current;
          if (event?.$case !== 'bundleLoaded') return {};
          await definition.bundleLoaded?.(fromWireBundle(event.value.bundle), state, {
            ...runtime,
            trustDomain,
            signal,
          });
          return {};
        },
      });
      return [service, configuration.service];
    },
  };
}
