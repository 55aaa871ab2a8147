import { lstat, open, realpath } from 'node:fs/promises';
import { dirname, isAbsolute } from 'node:path';
import { isWithin, type Place, systemPlaces } from '../../plugin-host/sandbox/places.ts';
import type { Access, Observation, Sighting } from '../../plugin-host/sandbox/sightings.ts';
import { isBroad, isScratch } from './broad-folders.ts';
import { foldersRatherThanFiles, outermost } from './merge-paths.ts';
import { findPackageFolders, moduleFolders } from './package-folder.ts';
import type { Note, ObservedRun } from './suggestion.ts';
import { isVisibleAnyway } from './visible-anyway.ts';

export interface SuggestedPlaces {
  readonly readable: readonly string[];
  readonly writable: readonly string[];
  readonly devices: readonly string[];
  readonly notes: readonly Note[];
}

type PathSighting = Extract<Sighting, { readonly what: 'path' | 'many' }>;

const CHANGING: readonly Access[] = ['write', 'create', 'remove', 'change', 'bind'];

/** The part of the file system that a run used, but for what each plugin sees anyway. */
export async function suggestPlaces({ sightings }: Observation, run: ObservedRun): Promise<SuggestedPlaces> {
  const system = await systemPlaces();
  const isOf = (path: string) => !isVisibleAnyway(path, system, run);
  const used = sightings.filter((sighting) => sighting.what === 'path' || sighting.what === 'many');
  const notes: Note[] = [];
  const writable = suggestWritable(
    used.filter(({ path }) => isOf(path)),
    notes,
  );
  const readable = await suggestReadable(
    used.filter(({ path }) => isOf(path)),
    { writable, run, system, notes },
  );
  const devices = sightings.flatMap((sighting) =>
    sighting.what === 'device' && isOf(sighting.path) ? [sighting.path] : [],
  );
  return { readable, writable, devices: [...new Set(devices)].sort(), notes };
}

/** Folders in which something was made, changed or removed; where the plugin made a folder itself, the one above. */
function suggestWritable(used: readonly PathSighting[], notes: Note[]): readonly string[] {
  const changed = used.filter((sighting) => CHANGING.includes(sighting.access) && !isMadeInVain(sighting));
  const made = new Set(
    changed.flatMap((sighting) =>
      sighting.what === 'path' && sighting.access === 'create' && sighting.kind === 'none' ? [sighting.path] : [],
    ),
  );
  const folders = new Set<string>();
  const refused = new Set<string>();
  for (const sighting of changed) {
    let folder = isFolderItself(sighting) ? sighting.path : dirname(sighting.path);
    if (isScratch(folder) && (sighting.what === 'many' || made.has(sighting.path))) continue;
    while (made.has(folder) && !isBroad(dirname(folder))) folder = dirname(folder);
    if (made.has(folder) && isScratch(dirname(folder))) continue;
    if (!isBroad(folder)) folders.add(folder);
    else
      refused.add(`it changes ${quote(sighting.path)}, and there is no folder around it that is its own: give it one`);
  }
  for (const message of [...refused].slice(0, MAX_NOTES)) notes.push({ about: 'writable', message });
  return outermost([...folders]);
}

/** A folder that was to be made where there is one, as `mkdir -p` does on its way. */
function isMadeInVain(sighting: PathSighting): boolean {
  return sighting.what === 'path' && sighting.access === 'create' && sighting.kind === 'folder';
}

function isFolderItself(sighting: PathSighting): boolean {
  if (sighting.what === 'many') return true;
  return sighting.kind === 'folder' && ['write', 'change'].includes(sighting.access);
}

async function suggestReadable(
  used: readonly PathSighting[],
  context: {
    readonly writable: readonly string[];
    readonly run: ObservedRun;
    readonly system: readonly Place[];
    readonly notes: Note[];
  },
): Promise<readonly string[]> {
  const { writable, run, system, notes } = context;
  const read = used.filter(({ access, path }) => {
    return ['read', 'execute', 'connect'].includes(access) && !writable.some((folder) => isWithin(path, folder));
  });
  const isKind = (kind: string) => (sighting: PathSighting) => sighting.what === 'path' && sighting.kind === kind;
  for (const { path } of read.filter(isKind('refused')).slice(0, MAX_NOTES)) {
    notes.push({ about: 'readable', message: `it was not allowed to read ${quote(path)} without a sandbox either` });
  }
  for (const { path, access } of read.filter(isKind('none')).slice(0, MAX_NOTES)) {
    if (access === 'connect') notes.push({ about: 'readable', message: `nobody listened at ${quote(path)}` });
  }
  const there = read.filter((sighting) => !isKind('refused')(sighting) && !isKind('none')(sighting));
  const sockets = there.filter(({ access }) => access === 'connect').map(({ path }) => socketPlace(path));
  const packages = [...(await findPackageFolders(run)), ...moduleFolders(there.map(({ path }) => path))];
  const files = there.filter((sighting) => !isFolderRead(sighting)).map(({ path }) => path);
  const listed = new Set(there.filter(isFolderRead).map(({ path }) => path));
  const programs = await Promise.all(
    [run.command, ...there.filter(isExecuted).map(({ path }) => path)].map(findInterpreter),
  );
  const interpreters = programs.filter((path) => path !== undefined && !isVisibleAnyway(path, system, run));
  for (const path of [...listed].filter(isBroad)) {
    notes.push({
      about: 'readable',
      message: `it lists ${quote(path)}, which is left out: all in there could be read`,
    });
  }
  const wanted = [...files, ...interpreters.filter((path) => path !== undefined)].filter(
    (path) => !isWithinAny(path, packages),
  );
  const existing = await keepExisting([
    ...wanted,
    ...[...listed].filter((path) => !isBroad(path) && !isWithinAny(path, packages)),
  ]);
  const usedPackages = packages.filter((folder) => [...files, ...listed].some((path) => isWithin(path, folder)));
  return outermost([...foldersRatherThanFiles(existing, listed), ...usedPackages, ...sockets]);
}

const isExecuted = ({ access }: PathSighting) => access === 'execute';

function isFolderRead(sighting: PathSighting): boolean {
  return sighting.what === 'many' || sighting.kind === 'folder';
}

/** A server makes its socket anew, so that the folder is worth more than the socket that is there. */
function socketPlace(path: string): string {
  return isBroad(dirname(path)) ? path : dirname(path);
}

const isWithinAny = (path: string, folders: readonly string[]) => folders.some((folder) => isWithin(path, folder));

/** What a plugin made for itself and took away again is no part of it. */
async function keepExisting(paths: readonly string[]): Promise<readonly string[]> {
  const found = await Promise.all(
    [...new Set(paths)].map(async (path) => ((await lstat(path).catch(() => undefined)) ? [path] : [])),
  );
  return found.flat();
}

/** The program that a script names in its first line, which the kernel opens by itself. */
async function findInterpreter(path: string): Promise<string | undefined> {
  try {
    await using file = await open(path);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(MAX_FIRST_LINE), 0, MAX_FIRST_LINE, 0);
    const [, interpreter] = /^#![ \t]*(\/[^\s]+)/.exec(buffer.subarray(0, bytesRead).toString('utf8')) ?? [];
    return interpreter !== undefined && isAbsolute(interpreter) ? await realpath(interpreter) : undefined;
  } catch {
    return undefined;
  }
}

const quote = (path: string) => JSON.stringify(path);

/** As long as the kernel reads one. */
const MAX_FIRST_LINE = 256;
/** More of a kind say nothing new. */
const MAX_NOTES = 5;
