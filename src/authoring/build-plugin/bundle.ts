import { isBuiltin } from 'node:module';
import type { BuildFailure, Plugin } from 'esbuild';
import { SpiffeError } from '../../spiffe/error.ts';
import type { Esbuild } from './find-esbuild.ts';
import { leftOut } from './left-out.ts';

/** The names under which the program finds what it has of its surroundings. */
export const SURROUNDINGS = { importMeta: '__assayerImportMeta', require: 'require' } as const;

/** Node's own modules, without an import statement: the program becomes the body of a function. */
const builtins: Plugin = {
  name: 'builtins',
  setup(build) {
    build.onResolve({ filter: /.*/ }, ({ path }) => (isBuiltin(path) ? { path, namespace: 'builtin' } : undefined));
    build.onLoad({ filter: /.*/, namespace: 'builtin' }, ({ path }) => ({
      contents: `module.exports = process.getBuiltinModule(${JSON.stringify(path)});`,
    }));
  },
};

/**
 * Bundles a plugin with all that it imports.
 *
 * @param entry absolute path of its first file, TypeScript or JavaScript
 * @returns the program as one expression, an async function of `import.meta` and `require`; ASCII only
 * @throws SpiffeError `ARGUMENT_INVALID` with what is wrong in the sources, a line each
 */
export async function bundle({ build }: Esbuild, entry: string): Promise<string> {
  const { importMeta, require } = SURROUNDINGS;
  try {
    const { outputFiles } = await build({
      entryPoints: [entry],
      bundle: true,
      write: false,
      minify: true,
      charset: 'ascii',
      platform: 'node',
      target: 'node24',
      format: 'esm',
      define: { 'import.meta': importMeta },
      legalComments: 'none',
      logLevel: 'silent',
      plugins: [builtins, leftOut],
    });
    const [output] = outputFiles;
    if (output === undefined) throw new SpiffeError('INTERNAL', 'esbuild gave no output');
    return `(async function (${importMeta}, ${require}) {"use strict";${output.text}\n})`;
  } catch (error) {
    if (!isBuildFailure(error)) throw error;
    throw new SpiffeError('ARGUMENT_INVALID', error.errors.map(describe).join('\n'), { cause: error });
  }
}

function isBuildFailure(error: unknown): error is BuildFailure {
  return error instanceof Error && 'errors' in error && Array.isArray(error.errors) && error.errors.length > 0;
}

function describe({ text, location }: BuildFailure['errors'][number]): string {
  return location === null ? text : `${location.file}:${location.line}:${location.column + 1}: ${text}`;
}
