import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomically } from '../../files/write-file-atomically.ts';
import { MAX_MANIFEST_BYTES, manifestPath } from '../../plugin-host/sandbox/manifest-file.ts';
import { parsePluginManifest } from '../../plugin-host/sandbox/plugin-manifest.ts';
import { messageOf, SpiffeError } from '../../spiffe/error.ts';

/** The manifest beside a built plugin, which hosts read. */
export interface BuiltManifest {
  /** Absolute path. */
  readonly path: string;
}

/**
 * Reads and checks a project's manifest, and adds the Node that runs the plugin to what it reads: hosts show a confined
 * plugin the system's folders and itself.
 *
 * @param given absolute path; absent, the project's `manifest.json`
 * @returns what is written beside the plugin; undefined where the project has none
 * @throws SpiffeError `CONFIG_INVALID`, `FILE_UNUSABLE`
 */
export async function readProjectManifest(
  given: string | undefined,
  project: string,
  node: string,
): Promise<string | undefined> {
  const path = given ?? join(project, 'manifest.json');
  const text = await readText(path, given !== undefined);
  if (text === undefined) return undefined;
  if (text.length > MAX_MANIFEST_BYTES) {
    throw new SpiffeError('FILE_UNUSABLE', `"${path}" has more than ${MAX_MANIFEST_BYTES} bytes`);
  }
  const { name, version, side, kind } = parsePluginManifest(text, path);
  const { sandbox }: { sandbox: Readonly<Record<string, unknown>> } = JSON.parse(text);
  const readable = [...new Set([...[sandbox.readable ?? []].flat(), node])];
  const built = `${JSON.stringify({ name, version, side, kind, sandbox: { ...sandbox, readable } }, undefined, 2)}\n`;
  parsePluginManifest(built, path); // one place more is one too many for some
  return built;
}

/** Writes it beside the plugin, for its owner to change and everybody to read. */
export async function publishManifest(text: string, plugin: string): Promise<BuiltManifest> {
  const path = manifestPath(plugin);
  await writeFileAtomically(path, text, 0o644);
  return { path };
}

async function readText(path: string, isRequired: boolean): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    if (!isRequired && cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return undefined;
    const reason = messageOf(cause);
    throw new SpiffeError('FILE_UNUSABLE', `cannot read the manifest "${path}": ${reason}`, { cause });
  }
}
