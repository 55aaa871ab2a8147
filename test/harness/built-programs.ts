import { join } from 'node:path';
import { builtinPlugins as findBuiltins } from '../../src/cli/builtin-plugins.ts';

// Tests run programs as they are delivered: one that is built starts in a fifth of the time that its sources take.

const dist = join(import.meta.dirname, '..', '..', 'dist');

/** The command line, for Node. */
export const ASSAYER = join(dist, 'assayer.js');
/** The plugin SDK, for a plugin that a test writes. */
export const PLUGIN_SDK = join(dist, 'plugin-sdk.js');

/** A plugin of ours, for Node; an upstream authority is called such as `upstream-disk`. */
export function builtPlugin(side: 'server' | 'agent', name: string): string {
  return join(dist, 'plugins', `${side}-${name}.js`);
}

/** The plugins that come with the program, as it is built. */
export function builtinPlugins(side: 'server' | 'agent') {
  return findBuiltins(side, undefined, ASSAYER);
}
