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
    const others = names.filter((name) => name !== CONFIG_SERVICE_NAME);
    throw new SpiffeError(
      'PLUGIN_NOT_LOADED',
      `no supported plugin interface found: the ${side} needs ${quoteText(wanted)}, the plugin serves ${others.map(quoteText).join(', ') || 'nothing'}${advice(side, type, others)}`,
    );
  }
  for (const name of names) {
    if (name !== wanted && name !== CONFIG_SERVICE_NAME) {
      log.warning('unsupported plugin service', { plugin_service: name.slice(0, 200) });
    }
  }
  return { plugin: wanted, hasConfig: names.includes(CONFIG_SERVICE_NAME) };
}

/** What the person who configured the plugin can do about it, where its services tell. */
function advice(side: PluginSide, type: PluginType, names: readonly string[]): string {
  for (const name of names) {
    const [, itsSide, version, itsType] = PLUGIN_SERVICE.exec(name) ?? [];
    if (itsSide === side && itsType === type) {
      return `: its interface is version ${version}, this host knows version 1, so another build of the plugin is needed`;
    }
    if (itsType === type) return `: it is for the ${itsSide}, configure it there`;
    if (itsSide === side) return `: configure it as ${itsType}`;
    if (itsType !== undefined) return `: configure it as ${itsType} of the ${itsSide}`;
  }
  return '';
}

const PLUGIN_SERVICE = /^spire\.plugin\.(server|agent)\.[a-z]+\.v([0-9]{1,4})\.([A-Za-z]{1,40})$/;
