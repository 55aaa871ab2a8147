import type { ServerConfig } from '../config/server-config.ts';
import { PluginCatalog } from '../plugin-host/catalog.ts';
import { PluginTelemetry } from '../plugin-host/plugin-telemetry.ts';
import { ServerHostServices } from './host-services.ts';
import type { ServerOptions } from './server.ts';
import { serverMetrics } from './server-metrics.ts';
import { findUnsupported } from './unsupported.ts';

/**
 * Checks what reading the file could not: asks every plugin what it thinks of its configuration. Nothing is kept.
 *
 * @returns what is wrong, a sentence each. Inventory S002.
 */
export async function validateServer(
  config: ServerConfig,
  { log, builtins, version = 'assayer', signal }: ServerOptions,
): Promise<readonly string[]> {
  findUnsupported(config);
  return await PluginCatalog.validate({
    side: 'server',
    plugins: config.plugins,
    trustDomain: config.trustDomain,
    builtins,
    hostServices: new ServerHostServices().services,
    telemetry: new PluginTelemetry(serverMetrics(config, version)),
    log,
    ...(signal === undefined ? {} : { signal }),
  });
}
