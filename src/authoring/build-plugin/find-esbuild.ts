import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { messageOf, SpiffeError } from '../../spiffe/error.ts';

/** The part of esbuild that is used. */
export type Esbuild = Pick<typeof import('esbuild'), 'build' | 'version'>;

/**
 * Loads esbuild: the one of the plugin's project, else the one beside this program. It is not part of the installed
 * package, since a server or an agent has no use for it.
 *
 * @param entry the plugin's first file
 * @throws SpiffeError `FAILED_PRECONDITION` where there is none
 */
export async function loadEsbuild(entry: string): Promise<Esbuild> {
  const path = findFrom(entry) ?? findFrom(import.meta.url);
  if (path === undefined) {
    throw new SpiffeError(
      'FAILED_PRECONDITION',
      'esbuild, which makes one file of a plugin, is not installed: run "npm install" in a project that "assayer plugin new" made, "npm install --save-dev esbuild" in another',
    );
  }
  try {
    const { default: esbuild }: { readonly default: Esbuild } = await import(pathToFileURL(path).href);
    return esbuild;
  } catch (cause) {
    throw new SpiffeError('FAILED_PRECONDITION', `esbuild at "${path}" does not load: ${messageOf(cause)}`, { cause });
  }
}

function findFrom(place: string): string | undefined {
  try {
    return createRequire(place).resolve('esbuild');
  } catch {
    return undefined;
  }
}
