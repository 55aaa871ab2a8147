import { z } from 'zod';
import {
  type Bundle,
  defineNotifier,
  type PluginContext,
  SpiffeError,
  servePlugin,
} from '../../../src/plugin-sdk/index.ts';
import { describeBundle } from './describe.ts';

// A notifier that logs what it is told. A refresh hint of 13 seconds brings bad luck.

async function take(event: string, bundle: Bundle, { log, host }: PluginContext): Promise<void> {
  log.info(event, { bundle: describeBundle(bundle) });
  await (await host.metrics()).incrCounter({ key: ['notifier', event], val: 1, labels: [] });
  if (bundle.refreshHintSeconds === 13) throw new SpiffeError('PERMISSION_DENIED', 'not that bundle');
}

const silent = process.argv[2] === 'silent';
await servePlugin(
  defineNotifier({
    name: 'notifier',
    config: z.strictObject({}),
    configure: () => undefined,
    ...(!silent && {
      bundleUpdated: (bundle, _state, context) => take('updated', bundle, context),
      bundleLoaded: (bundle, _state, context) => take('loaded', bundle, context),
    }),
  }),
);
