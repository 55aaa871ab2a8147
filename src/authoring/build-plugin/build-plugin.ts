import { createHash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { basename, dirname, extname, join, resolve } from 'node:path';
import { findAddon } from '../../addon/load-addon.ts';
import { makeFolders } from '../../files/make-folders.ts';
import { writeFileAtomically } from '../../files/write-file-atomically.ts';
import { messageOf, SpiffeError } from '../../spiffe/error.ts';
import { parseTrustDomain } from '../../spiffe/trust-domain.ts';
import { type Inspection, inspectPlugin } from '../inspect/index.ts';
import { bundle } from './bundle.ts';
import { makeCodeCache } from './code-cache.ts';
import { loadEsbuild } from './find-esbuild.ts';
import { type BuiltManifest, publishManifest, readProjectManifest } from './project-manifest.ts';
import { formatSingleFile } from './single-file.ts';

export interface BuildOptions {
  /** The plugin's first file. */
  readonly entry: string;
  /** The file to be written; absent, in `dist` of the project, named after it. */
  readonly output?: string | undefined;
  /** Absolute path of the Node that runs the plugin. */
  readonly node: string;
  /** The project's manifest; absent, its `manifest.json`, where there is one. */
  readonly manifest?: string | undefined;
}

export interface BuiltPlugin {
  /** Absolute path. */
  readonly path: string;
  readonly bytes: number;
  /** SHA-256, in hexadecimal: what `plugin_checksum` takes. */
  readonly checksum: string;
  /** Absent where the project has none. */
  readonly manifest?: BuiltManifest;
  /** What became of its first start as a plugin. */
  readonly inspection: Inspection;
  readonly warnings: readonly string[];
}

/** In every program that holds software keys, and in no other. */
const KEY_ADDON_MARK = 'the private key is not an EC or RSA key in PKCS #8 DER';
/** Others tell Node to read the file as something else than JavaScript. */
const EXTENSIONS = ['', '.js', '.cjs', '.mjs'];

/**
 * Makes one executable file of a plugin, then starts it.
 *
 * @throws SpiffeError where it cannot be built; nothing is written then. A plugin that is built and does not start is
 *   told by its inspection.
 */
export async function buildPlugin(options: BuildOptions): Promise<BuiltPlugin> {
  const entry = await requireEntry(resolve(options.entry));
  const project = await findProject(dirname(entry));
  const path = resolve(options.output ?? join(project, 'dist', basename(project)));
  await requireOutput(path, entry);
  const manifest = await readProjectManifest(options.manifest && resolve(options.manifest), project, options.node);
  const program = await bundle(await loadEsbuild(entry), entry);
  const keyAddon = program.includes(KEY_ADDON_MARK) ? await readKeyAddon() : new Uint8Array();
  const parts = { node: options.node, program, keyAddon };
  const { bytes: codeCache, failure } = await makeCodeCache(parts);
  const file = Buffer.from(formatSingleFile({ ...parts, codeCache }));
  await makeFolder(dirname(path));
  await writeFileAtomically(path, file, 0o755);
  const built = manifest === undefined ? undefined : await publishManifest(manifest, path);
  const inspection = await inspectPlugin({ command: path, args: [], trustDomain: parseTrustDomain('example.org') });
  return {
    path,
    bytes: file.length,
    checksum: createHash('sha256').update(file).digest('hex'),
    ...(built === undefined ? {} : { manifest: built }),
    inspection,
    warnings: failure === undefined ? [] : [`it starts without compiled code, which takes longer: ${failure}`],
  };
}

async function requireEntry(entry: string): Promise<string> {
  const found = await stat(entry).catch(() => undefined);
  if (found?.isFile()) return entry;
  throw new SpiffeError(
    'ARGUMENT_INVALID',
    `"${entry}" is no file: name the first file of the plugin, such as src/main.ts`,
  );
}

/** The folder of the package that a file belongs to; its own where there is no package. */
async function findProject(folder: string): Promise<string> {
  for (let place = folder; ; place = dirname(place)) {
    if ((await stat(join(place, 'package.json')).catch(() => undefined))?.isFile()) return place;
    if (dirname(place) === place) return folder;
  }
}

async function requireOutput(path: string, entry: string): Promise<void> {
  const extension = extname(path);
  if (!EXTENSIONS.includes(extension)) {
    throw new SpiffeError(
      'ARGUMENT_INVALID',
      `Node would not read "${path}" as JavaScript: give it no extension, or .js, .mjs or .cjs`,
    );
  }
  const found = await stat(path).catch(() => undefined);
  if (path === entry) throw new SpiffeError('ARGUMENT_INVALID', `"${path}" is the source: name another file with -o`);
  if (found?.isDirectory()) throw new SpiffeError('ARGUMENT_INVALID', `"${path}" is a folder: name a file with -o`);
}

async function readKeyAddon(): Promise<Uint8Array> {
  const path = findAddon('key');
  if (path !== undefined) return await readFile(path);
  throw new SpiffeError(
    'FAILED_PRECONDITION',
    'the addon "key", which signs with software keys, is not built: run "npm run setup"',
  );
}

async function makeFolder(path: string): Promise<void> {
  try {
    await makeFolders(path);
  } catch (cause) {
    const reason = messageOf(cause);
    throw new SpiffeError('FILE_UNUSABLE', `cannot make the folder "${path}": ${reason}`, { cause });
  }
}
