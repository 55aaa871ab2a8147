import { createRequire } from 'node:module';
import { SpiffeError } from '../spiffe/error.ts';
import { findBuilt } from './find-built.ts';

/** The addons of `native/`, one a purpose. */
export type AddonName = 'tpm' | 'peer' | 'key';

/**
 * Loads an addon, from a source tree and from a bundle in `dist/` alike.
 *
 * @throws SpiffeError `FAILED_PRECONDITION` where it was not built for this machine.
 */
export function loadAddon(name: AddonName): unknown {
  const path = findBuilt(`${name}.node`);
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
