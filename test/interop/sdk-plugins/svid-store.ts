import { z } from 'zod';
import { defineSvidStore, SpiffeError, servePlugin } from '../../../src/plugin-sdk/index.ts';
import { describeSvid } from './describe.ts';

function requireSense(metadata: readonly string[]): void {
  if (metadata.includes('nonsense')) throw new SpiffeError('ARGUMENT_INVALID', 'the metadata makes no sense');
  if (metadata.includes('busy')) throw new SpiffeError('SERVER_UNREACHABLE', 'the store is busy');
}

// An SVID store that logs what it is to store and to delete. The metadata may ask it to fail.
await servePlugin(
  defineSvidStore({
    name: 'svid-store',
    config: z.strictObject({}),
    configure: () => undefined,
    async putX509Svid(stored, _state, { log }) {
      log.info('put', { svid: describeSvid(stored) });
      requireSense(stored.metadata);
    },
    async deleteX509Svid(metadata, _state, { log }) {
      log.info('delete', { metadata: metadata.join(',') });
      requireSense(metadata);
    },
  }),
);
