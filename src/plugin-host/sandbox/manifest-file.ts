import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { basename } from 'node:path';
import type { ManifestOf } from '../../config/sandbox-config.ts';
import { isSpiffeError, messageOf, SpiffeError } from '../../spiffe/error.ts';
import { quoteText } from '../../spiffe/quote-text.ts';
import type { PluginSpec } from '../plugin-spec.ts';
import { manifestOf, type PluginManifest, parsePluginManifest } from './plugin-manifest.ts';

/** More would be no manifest. */
export const MAX_MANIFEST_BYTES = 65_536;
/** The rights of the group and of everybody to write. */
const WRITABLE_BY_OTHERS = 0o022;

/** What a host takes from a manifest. */
export interface ManifestInUse {
  readonly needs: ManifestOf;
  readonly version: string;
}

/** Where the manifest of an executable stands. */
export function manifestPath(command: string): string {
  return `${command}.manifest.json`;
}

/**
 * Reads the manifest beside the executable of a plugin that did not come with the program.
 *
 * @returns undefined where there is none.
 * @throws SpiffeError `PLUGIN_NOT_LOADED` for one that cannot be trusted or used: without it the plugin would have more
 *   rights than its author wants for it.
 */
export async function readManifestFile(
  spec: Pick<PluginSpec, 'command' | 'side' | 'type'>,
): Promise<ManifestInUse | undefined> {
  const path = manifestPath(spec.command);
  try {
    const text = await readTrustedFile(path);
    if (text === undefined) return undefined;
    const manifest = parsePluginManifest(text, basename(path));
    requireKind(manifest, spec);
    return { needs: manifestOf(manifest), version: manifest.version };
  } catch (cause) {
    if (!isSpiffeError(cause)) throw cause;
    throw new SpiffeError(
      'PLUGIN_NOT_LOADED',
      `its manifest ${quoteText(path)} cannot be used: ${cause.message}; correct it, or pass over it with sandbox { manifest = false }`,
      { cause },
    );
  }
}

async function readTrustedFile(path: string): Promise<string | undefined> {
  const file = await openFile(path);
  if (file === undefined) return undefined;
  try {
    const { uid, mode, size, isFile } = await statOf(file);
    if (!isFile) throw unusable('it is no file');
    if (uid !== 0 && uid !== process.geteuid?.()) {
      throw unusable(`it belongs to user ${uid}: make root or the user of this program its owner`);
    }
    if ((mode & WRITABLE_BY_OTHERS) !== 0) throw unusable('others may write it: run chmod go-w on it');
    if (size > MAX_MANIFEST_BYTES) throw unusable(`it has ${size} bytes, more than ${MAX_MANIFEST_BYTES}`);
    const buffer = Buffer.alloc(MAX_MANIFEST_BYTES + 1);
    const { bytesRead } = await file.read(buffer, 0, buffer.length, 0);
    if (bytesRead > MAX_MANIFEST_BYTES) throw unusable(`it has more than ${MAX_MANIFEST_BYTES} bytes`);
    return buffer.toString('utf8', 0, bytesRead);
  } finally {
    await file.close();
  }
}

async function openFile(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, constants.O_RDONLY | constants.O_NONBLOCK); // a pipe would never open
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw unusable(messageOf(cause));
  }
}

async function statOf(file: FileHandle): Promise<{ uid: number; mode: number; size: number; isFile: boolean }> {
  const found = await file.stat();
  return { uid: found.uid, mode: found.mode, size: found.size, isFile: found.isFile() };
}

function requireKind({ side, kind }: PluginManifest, spec: Pick<PluginSpec, 'side' | 'type'>): void {
  if (side === spec.side && kind === spec.type) return;
  throw unusable(
    `it is that of a ${kind} of the ${side}, and the plugin is configured as ${spec.type} of the ${spec.side}`,
  );
}

function unusable(message: string): SpiffeError {
  return new SpiffeError('FILE_UNUSABLE', message);
}
