import { CONFIG_SERVICE_NAME } from '../../plugin-host/configure.ts';
import { PLUGIN_TYPES, type PluginSide, type PluginType, pluginServiceName } from '../../rpc/go-plugin.ts';
import { SpiffeError } from '../../spiffe/error.ts';
import { quoteText } from '../../spiffe/quote-text.ts';

export interface PluginKind {
  readonly side: PluginSide;
  readonly type: PluginType;
}

const SIDES: readonly PluginSide[] = ['server', 'agent'];
const MAX_SERVICES = 64;
const OTHER_VERSION = /^spire\.plugin\.(?:server|agent)\.[a-z]+\.v([0-9]{1,4})\.[A-Za-z]{1,40}$/;

/** The kinds that a host can use a plugin as. */
export function kindsOf(services: readonly string[]): readonly PluginKind[] {
  return SIDES.flatMap((side) => PLUGIN_TYPES.map((type) => ({ side, type }))).filter(({ side, type }) =>
    services.includes(pluginServiceName(side, type)),
  );
}

/**
 * Refuses what no host finds a use for.
 *
 * @param side the program that it is for; undefined for either.
 * @throws SpiffeError `PLUGIN_NOT_LOADED` or `PLUGIN_PROTOCOL`, saying what it serves instead
 */
export function requireKinds(services: readonly string[], side: PluginSide | undefined): void {
  if (services.length > MAX_SERVICES) {
    throw new SpiffeError('PLUGIN_PROTOCOL', `it claims ${services.length} services, more than ${MAX_SERVICES}`);
  }
  const kinds = kindsOf(services);
  const [first] = kinds;
  if (first === undefined) throw new SpiffeError('PLUGIN_NOT_LOADED', describeNoKind(services));
  if (side !== undefined && !kinds.some((kind) => kind.side === side)) {
    throw new SpiffeError('PLUGIN_NOT_LOADED', `it is a ${first.type} for the ${first.side}, not for the ${side}`);
  }
}

/** Services that a host passes over. */
export function unusedServices(services: readonly string[]): readonly string[] {
  const used = [CONFIG_SERVICE_NAME, ...kindsOf(services).map(({ side, type }) => pluginServiceName(side, type))];
  return services.filter((name) => !used.includes(name));
}

function describeNoKind(services: readonly string[]): string {
  const others = services.filter((name) => name !== CONFIG_SERVICE_NAME);
  const versions = others.flatMap((name) => OTHER_VERSION.exec(name)?.[1] ?? []);
  const advice = versions.length > 0 ? `: version ${versions[0]} of an interface, hosts take version 1` : '';
  return `it serves no kind of plugin: its services are ${others.map(quoteText).join(', ') || 'none'}${advice}`;
}
