import { lstat, mkdir, readlink, realpath, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/** One option of the launcher that shows a place, with its two words. */
export interface Place {
  readonly kind: 'read-only' | 'writable' | 'device' | 'scratch' | 'link';
  /** As the plugin names it. */
  readonly path: string;
  /** The path without symbolic links; the text of a link; the size of a scratch folder, in bytes. */
  readonly source: string;
}

/** Programs and libraries; on many systems all but the first are links into it. */
const SYSTEM_FOLDERS = ['/usr', '/bin', '/sbin', '/lib', '/lib32', '/lib64', '/libx32', '/nix/store', '/gnu/store'];
/** What libraries read of the system's configuration; nothing in it is secret. */
const SYSTEM_FILES = [
  ...['alternatives', 'ca-certificates', 'gai.conf', 'group', 'host.conf', 'hosts', 'ld.so.cache', 'ld.so.conf'],
  ...['ld.so.conf.d', 'localtime', 'nsswitch.conf', 'passwd', 'pki', 'protocols', 'resolv.conf', 'services'],
  ...['ssl/certs', 'ssl/openssl.cnf', 'timezone'],
].map((name) => join('/etc', name));
const SYSTEM_DEVICES = ['null', 'zero', 'full', 'random', 'urandom'].map((name) => join('/dev', name));
const SCRATCH_BYTES = 64 * 1024 * 1024;

/** What every program needs to run at all. */
export async function systemPlaces(): Promise<readonly Place[]> {
  const shown = await Promise.all([
    ...SYSTEM_FOLDERS.map(systemFolder),
    ...SYSTEM_FILES.map((path) => placeAt('read-only', path)),
    ...SYSTEM_DEVICES.map((path) => placeAt('device', path)),
  ]);
  return [
    ...shown.filter((place) => place !== undefined),
    { kind: 'scratch', path: '/tmp', source: String(SCRATCH_BYTES) },
    { kind: 'link', path: '/dev/fd', source: '/proc/self/fd' },
    { kind: 'link', path: '/dev/stderr', source: '/proc/self/fd/2' },
  ];
}

/** @param follow gives the path without symbolic links. @returns undefined where nothing is there. */
export async function placeAt(
  kind: 'read-only' | 'writable' | 'device',
  path: string,
  follow: (path: string) => Promise<string | undefined> = realPath,
): Promise<Place | undefined> {
  const source = await follow(path);
  return source === undefined ? undefined : { kind, path, source };
}

/** Makes a folder for the plugin to write, where it is missing. */
export async function makeFolder(path: string): Promise<void> {
  if ((await stat(path).catch(() => undefined)) !== undefined) return;
  const parent = dirname(path);
  if (parent !== path) await makeFolder(parent);
  await mkdir(path, { mode: 0o700 }).catch(() => {}); // the plugin says what it cannot write
}

/** Those of the folders that are below none of the others, which come with those. */
export function topmost(folders: readonly string[]): readonly string[] {
  return folders.filter((path) => !folders.some((other) => other !== path && isWithin(path, other)));
}

/** In the order in which they can be shown: what is above comes first; one that is given twice, with its greatest rights. */
export function inOrder(places: readonly Place[]): readonly Place[] {
  const rank = (place: Place) => (place.kind === 'writable' ? 1 : 0);
  const byPath = new Map<string, Place>();
  for (const place of places) {
    const known = byPath.get(place.path);
    if (known === undefined || rank(place) > rank(known)) byPath.set(place.path, place);
  }
  const sorted = [...byPath.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
  return sorted.flatMap((place) => shownWithin(sorted, place));
}

/**
 * A place below a folder that is shown as well needs nothing of its own: mounted alone, a file would stay what it was when
 * somebody replaces it. Only what a link in there leads to is shown, where that is.
 */
function shownWithin(places: readonly Place[], place: Place): readonly Place[] {
  if (place.kind !== 'read-only') return [place];
  const above = places.find((other) => {
    return other !== place && /^(?:read-only|writable)$/.test(other.kind) && isWithin(place.path, other.path);
  });
  if (above === undefined) return [place];
  if (isWithin(place.source, above.source)) return [];
  return [{ ...place, path: place.source }].filter(({ path }) => !places.some((other) => isShown(path, other)));
}

function isShown(path: string, { kind, path: shown }: Place): boolean {
  return (kind === 'read-only' || kind === 'writable') && isWithin(path, shown);
}

/** Whether everybody may read what is there. */
export async function isReadableByAll({ source }: Place): Promise<boolean> {
  const found = await stat(source).catch(() => undefined);
  if (found === undefined) return true;
  const wanted = found.isDirectory() ? 0o005 : 0o004;
  return (found.mode & wanted) === wanted;
}

/** Whether `path` is `folder` or below it. */
export function isWithin(path: string, folder: string): boolean {
  return path === folder || path.startsWith(folder.endsWith('/') ? folder : `${folder}/`);
}

async function systemFolder(path: string): Promise<Place | undefined> {
  const found = await lstat(path).catch(() => undefined);
  if (found?.isSymbolicLink()) return { kind: 'link', path, source: await readlink(path) };
  return found?.isDirectory() ? await placeAt('read-only', path) : undefined;
}

async function realPath(path: string): Promise<string | undefined> {
  return await realpath(path).catch(() => undefined);
}
