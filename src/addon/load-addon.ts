import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { SpiffeError } from '../spiffe/error.ts';

/** The addons of `native/`, one a purpose. */
export type AddonName = 'tpm' | 'peer' | 'key';

/**
 * Loads an addon, from a source tree and from a bundle in `dist/` alike.
 *
 * @throws SpiffeError `FAILED_PRECONDITION` where it was not built for this machine.
 */
export function loadAddon(name: AddonName): unknown {
  const path = findAddon(name);
  if (path === undefined) {
    throw new SpiffeError('FAILED_PRECONDITION', `the addon "${name}" is not built, run "npm run setup"`);
  }
  try {
    return createRequire(import.meta.url)(path);
  } catch (cause) {
    throw new SpiffeError('FAILED_PRECONDITION', `the addon "${name}" does not load, run "npm run setup" again`, {
      cause,
    });
  }
}

function findAddon(name: AddonName): string | undefined {
  let folder = dirname(fileURLToPath(import.meta.url));
  for (;;) {
    const path = join(folder, 'native', 'build', 'Release', `${name}.node`);
    if (existsSync(path)) return path;
    const parent = dirname(folder);
    if (parent === folder) return undefined;
    folder = parent;
  }
}
