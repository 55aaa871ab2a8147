import { PLUGIN_TYPES, type PluginSide, type PluginType } from '../rpc/go-plugin.ts';
import { SpiffeError } from '../spiffe/error.ts';

/** `key-manager`, as people write a kind on the command line. */
export function formatKind(type: PluginType): string {
  return type.replace(/(?<=[a-z])[A-Z]|(?<=[A-Z])[A-Z](?=[a-z])/g, (letter) => `-${letter}`).toLowerCase();
}

/**
 * @param text such as `key-manager`, or with its side `server-node-attestor`
 * @throws SpiffeError `ARGUMENT_INVALID`
 */
export function parseKind(text: string): { readonly type: PluginType; readonly side?: PluginSide } {
  const [, side, name] = /^(?:(server|agent)-)?(.*)$/.exec(text) ?? [];
  const type = PLUGIN_TYPES.find((known) => formatKind(known) === name);
  if (type === undefined) {
    const known = PLUGIN_TYPES.map(formatKind).join(', ');
    throw new SpiffeError('ARGUMENT_INVALID', `-kind: ${JSON.stringify(text)} is none of ${known}`);
  }
  return side === 'server' || side === 'agent' ? { type, side } : { type };
}

/** Undefined for an empty text. @throws SpiffeError `ARGUMENT_INVALID` */
export function parseSide(text: string): PluginSide | undefined {
  if (text === '') return undefined;
  if (text === 'server' || text === 'agent') return text;
  throw new SpiffeError('ARGUMENT_INVALID', `-side: ${JSON.stringify(text)} is neither server nor agent`);
}
