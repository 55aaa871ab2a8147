import { stat } from 'node:fs/promises';
import type { SandboxUser } from '../../config/sandbox-config.ts';
import { reasonNotToOwn } from '../../plugin-host/sandbox/ownership.ts';
import type { Sighting } from '../../plugin-host/sandbox/sightings.ts';
import type { Note } from './suggestion.ts';

const WRITABLE_BY_OTHERS = 0o002;
/** A user ID that nobody has. */
const NOBODY_YET = 2 ** 31 - 2;

/** A user of its own, unless something that the run used is for the host's user alone. */
export async function suggestUser(
  sightings: readonly Sighting[],
  writable: readonly string[],
): Promise<{ readonly user: SandboxUser; readonly notes: readonly Note[] }> {
  const sockets = sightings.flatMap((sighting) =>
    sighting.what === 'path' && sighting.access === 'connect' && sighting.kind === 'socket' ? [sighting.path] : [],
  );
  const reasons = [
    ...(await Promise.all(sockets.map(reasonNotToConnect))),
    ...(await Promise.all(writable.map((path) => reasonNotToOwn(path, { userId: NOBODY_YET, dataDir: undefined })))),
  ].filter((reason) => reason !== undefined);
  return {
    user: reasons.length === 0 ? 'own' : 'host',
    notes: [...new Set(reasons)].map((reason): Note => ({ about: 'user', message: `host, because ${reason}` })),
  };
}

async function reasonNotToConnect(path: string): Promise<string | undefined> {
  const found = await stat(path).catch(() => undefined);
  if (found === undefined || (found.mode & WRITABLE_BY_OTHERS) !== 0) return undefined;
  return `only the user ${found.uid} may connect to the socket "${path}"`;
}
