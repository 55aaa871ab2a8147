import { createRequire } from 'node:module';
import { SpiffeError } from '../spiffe/error.ts';
import { loadEmbedded } from './embedded-addon.ts';
import { findBuilt } from './find-built.ts';

/** The addons of `native/`, one a purpose. */
export type AddonName = 'tpm' | 'peer' | 'key' | 'pkcs11';

/**
 * Loads an addon, from a source tree, from a bundle in `dist/` and from a plugin that is one file alike.
 *
 * @throws SpiffeError `FAILED_PRECONDITION` where it was not built for this machine.
 */
export function loadAddon(name: AddonName): unknown {
  const require = createRequire(import.meta.url);
  try {
    const embedded = loadEmbedded(name, require);
    if (embedded !== undefined) return embedded;
  } catch (cause) {
    const advice = 'build it for this machine and this Node; TMPDIR must not be mounted noexec';
    throw new SpiffeError('FAILED_PRECONDITION', `the addon "${name}" of this program does not load: ${advice}`, {
      cause,
    });
  }
  const path = findAddon(name);
  if (path === undefined) {
    throw new SpiffeError('FAILED_PRECONDITION', `the addon "${name}" is not built, run "npm run setup"`);
  }
  try {
    return require(path);
  } catch (cause) {
    throw new SpiffeError('FAILED_PRECONDITION', `the addon "${name}" does not load, run "npm run setup" again`, {
      cause,
    });
  }
}

/** The file of an addon; undefined where it was not built. */
export function findAddon(name: AddonName): string | undefined {
  return findBuilt(`${name}.node`);
}
