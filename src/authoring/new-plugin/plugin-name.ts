import { SpiffeError } from '../../spiffe/error.ts';
import type { KindName } from './kinds.ts';

/** As in agent IDs and selectors, and as the name of a folder, a file, an npm package and a Go module. */
const NAME = /^[a-z][a-z0-9_-]{0,39}$/;
/** What tools take for something else than a project of one's own. */
const RESERVED = new Set(['node_modules', 'vendor', 'internal', 'testdata']);

/** @throws SpiffeError `ARGUMENT_INVALID` */
export function requirePluginName(name: string, kind: KindName): void {
  const quoted = JSON.stringify(name.slice(0, 100));
  if (!NAME.test(name)) {
    throw new SpiffeError(
      'ARGUMENT_INVALID',
      `${quoted} cannot be the name of a plugin: small letters, digits, "-" and "_", 40 at most, a letter first`,
    );
  }
  if (RESERVED.has(name))
    throw new SpiffeError('ARGUMENT_INVALID', `${quoted} means something else to npm or Go: take another name`);
  if (kind === 'node-attestor' && name === 'join_token') {
    throw new SpiffeError(
      'ARGUMENT_INVALID',
      `hosts have a node attestor ${quoted} that is no plugin: take another name`,
    );
  }
}
