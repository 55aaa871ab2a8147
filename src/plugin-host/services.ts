import type { Logger } from '../log/logger.ts';
import { type PluginSide, type PluginType, pluginServiceName } from '../rpc/go-plugin.ts';
import { SpiffeError } from '../spiffe/error.ts';
import { quoteText } from '../spiffe/quote-text.ts';
import { CONFIG_SERVICE_NAME } from './configure.ts';

/** What a plugin said in Init that it serves, as far as this host can use it. */
export interface MatchedServices {
  /** Full name of the service that makes it a plugin of its type. */
  readonly plugin: string;
  readonly hasConfig: boolean;
}

/** A plugin that claims more than this is broken. */
const MAX_SERVICES = 64;

/**
 * Finds a plugin's service of its type; what is left over is named in the log.
 *
 * @throws SpiffeError `PLUGIN_NOT_LOADED`, saying what it serves instead.
 */
export function matchServices(
  { side, type }: { readonly side: PluginSide; readonly type: PluginType },
  names: readonly string[],
  log: Logger,
): MatchedServices {
  if (names.length > MAX_SERVICES) {
    throw new SpiffeError('PLUGIN_PROTOCOL', `it claims to serve ${names.length} services, more than ${MAX_SERVICES}`);
  }
  const wanted = pluginServiceName(side, type);
  if (!names.includes(wanted)) {
    const others = names.filter((name) => name !== CONFIG_SERVICE_NAME).map(quoteText);
    throw new SpiffeError(
      'PLUGIN_NOT_LOADED',
      `no supported plugin interface found: the ${side} needs ${quoteText(wanted)}, the plugin serves ${others.join(', ') || 'nothing'}`,
    );
  }
  for (const name of names) {
    if (name !== wanted && name !== CONFIG_SERVICE_NAME) {
      log.warning('unsupported plugin service', { plugin_service: name.slice(0, 200) });
    }
  }
  return { plugin: wanted, hasConfig: names.includes(CONFIG_SERVICE_NAME) };
}
