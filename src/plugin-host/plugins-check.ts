import type { HealthCheck } from '../http/health-checks.ts';
import { SpiffeError } from '../spiffe/error.ts';
import type { PluginStatus } from './plugin-status.ts';

/** Names the plugins that are unhealthy. The host goes on starting them: a new program would do no better. */
export function pluginsCheck(plugins: () => readonly Pick<PluginStatus, 'type' | 'name' | 'state'>[]): HealthCheck {
  return {
    name: 'catalog.plugins',
    reasonKey: 'unhealthy_plugins_err',
    isLiveAnyway: () => true,
    check: async () => {
      const unhealthy = plugins().filter(({ state }) => state === 'unhealthy');
      if (unhealthy.length === 0) return;
      const names = unhealthy.map(({ type, name }) => `${type} "${name}"`).join(', ');
      throw new SpiffeError('PLUGIN_EXITED', `what keeps ending and is started again: ${names}`);
    },
  };
}
