import { z } from 'zod';
import { defineBundlePublisher, SpiffeError, servePlugin } from '../../../src/plugin-sdk/index.ts';
import { describeBundle } from './describe.ts';

// A bundle publisher that logs what it is to publish. A refresh hint of 13 seconds brings bad luck.
await servePlugin(
  defineBundlePublisher({
    name: 'bundle-publisher',
    config: z.strictObject({}),
    configure: () => undefined,
    async publishBundle(bundle, _state, { log }) {
      log.info('published', { bundle: describeBundle(bundle) });
      if (bundle.refreshHintSeconds === 13) throw new SpiffeError('SERVER_UNREACHABLE', 'nobody takes that bundle');
    },
  }),
);
