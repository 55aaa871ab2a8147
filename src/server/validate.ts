import type { ServerConfig } from '../config/server-config.ts';
import { PluginCatalog } from '../plugin-host/catalog.ts';
import { ServerHostServices } from './host-services.ts';
import type { ServerOptions } from './server.ts';
import { findUnsupported } from './unsupported.ts';

/**
 * Checks what reading the file could not: asks every plugin what it thinks of its configuration. Nothing is kept.
 *
 * @returns what is wrong, a sentence each. Inventory S002.
 */
export async function validateServer(
  config: ServerConfig,
  { log, builtins, signal }: ServerOptions,
): Promise<readonly string[]> {
  findUnsupported(config);
  return await PluginCatalog.validate({
    side: 'server',
    plugins: config.plugins,
    trustDomain: config.trustDomain,
    builtins,
    hostServices: new ServerHostServices(log).services,
    log,
    ...(signal === undefined ? {} : { signal }),
  });
}
