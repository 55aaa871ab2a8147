import { SpiffeError } from '../../spiffe/error.ts';

/** What an executable is made of. */
export interface SingleFileParts {
  /** Absolute path of the Node that runs it. */
  readonly node: string;
  /** One expression, ASCII. */
  readonly program: string;
  /** What V8 compiled of the program; empty for none. V8 refuses that of another version and compiles anew. */
  readonly codeCache: Uint8Array;
  /** The native addon for keys; empty for none. */
  readonly keyAddon: Uint8Array;
}

/** The kernel's BINPRM_BUF_SIZE before Linux 5.1, with room for `#!` and the end of the line. */
const MAX_NODE_PATH = 124;

/**
 * Puts a program into one file that Node runs whatever its name and its folder are: nothing in it is particular to
 * CommonJS or to modules. Behind the loader stand three comments: the program as a JSON string, the code cache and the
 * addon in base64.
 *
 * @throws SpiffeError `ARGUMENT_INVALID` for a path that the kernel does not take behind `#!`
 */
export function formatSingleFile({ node, program, codeCache, keyAddon }: SingleFileParts): string {
  if (!node.startsWith('/') || /[\s]/.test(node) || Buffer.byteLength(node) > MAX_NODE_PATH) {
    throw new SpiffeError(
      'ARGUMENT_INVALID',
      `the path of Node, ${JSON.stringify(node)}, cannot stand behind #!: it has to be absolute, without spaces, ${MAX_NODE_PATH} bytes at most; name another with -node`,
    );
  }
  const comments = [JSON.stringify(program), base64(codeCache), base64(keyAddon)];
  return [`#!${node}`, LOADER, ...comments.map((text) => `//${text}`)].join('\n');
}

/** One line. `process.argv[1]` is the file itself. */
const LOADER = `{
  const get = process.getBuiltinModule;
  const file = process.argv[1];
  const lines = get('node:fs').readFileSync(file, 'latin1').split('\\n//');
  const [program, codeCache, addon] = lines.slice(-3);
  const { Script, constants } = get('node:vm');
  const options = { filename: file, importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER };
  if (codeCache) options.cachedData = Buffer.from(codeCache, 'base64');
  if (addon) globalThis[Symbol.for('assayer.embedded-addons')] = { key: () => Buffer.from(addon, 'base64') };
  const url = get('node:url').pathToFileURL(file).href;
  const require = get('node:module').createRequire(file);
  const meta = { url, filename: file, dirname: get('node:path').dirname(file), main: true, resolve: require.resolve };
  new Script(JSON.parse(program), options).runInThisContext()(meta, require);
}`
  .split('\n')
  .map((line) => line.trim())
  .join('');

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64');
}
