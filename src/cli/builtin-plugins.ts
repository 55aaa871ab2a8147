import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The plugins that come with the program: `<side> <type> <name>`. */
const BUILTINS: ReadonlySet<string> = new Set([
  'server KeyManager memory',
  'server KeyManager disk',
  'server NodeAttestor tpm',
  'agent KeyManager memory',
  'agent KeyManager disk',
  'agent NodeAttestor tpm',
  'agent WorkloadAttestor unix',
]);

/** Finds the executable of a built-in plugin: a bundle beside the built program, a source file beside the sources. */
export function builtinPlugins(side: 'server' | 'agent') {
  return (type: string, name: string): { readonly command: string; readonly args: readonly string[] } | undefined => {
    if (!BUILTINS.has(`${side} ${type} ${name}`)) return undefined;
    const here = fileURLToPath(import.meta.url);
    const path = here.endsWith('.ts')
      ? join(dirname(here), '..', 'plugins', name, `${side}.main.ts`)
      : join(dirname(here), 'plugins', `${side}-${name}.js`);
    return { command: process.execPath, args: [path] };
  };
}
