import { InitDefinition } from '../gen/spire/service/private/init/v1/init.ts';
import { type BoundService, bindService } from '../rpc/service.ts';
import { endConfigurations } from './configuration.ts';
import type { HostServices } from './host-services.ts';
import type { PluginTracer } from './plugin-tracer.ts';

/** Tells the host which services the plugin has, and learns which the host has. Deinit ends what they have open. */
export function initService(services: readonly BoundService[], host: HostServices, tracer: PluginTracer): BoundService {
  return bindService(InitDefinition, {
    async init({ hostServiceNames }) {
      host.offer(hostServiceNames);
      return { pluginServiceNames: services.map(({ definition }) => definition.fullName) };
    },
    async deinit() {
      await endConfigurations(services);
      await tracer.flush();
      return {};
    },
  });
}
