import { BundlePublisherDefinition } from '../../gen/spire/plugin/server/bundlepublisher/v1/bundlepublisher.ts';
import { toWireBundle } from '../../rpc/plugin-bundle.ts';
import type { Bundle } from '../../spiffe/bundle.ts';
import { type Plugin, PluginService } from '../plugin.ts';

/** Puts the server's trust bundle where others find it. */
export interface BundlePublisher {
  readonly name: string;
  /** The plugin itself knows whether it published the very bundle before. */
  publishBundle(bundle: Bundle, signal: AbortSignal): Promise<void>;
}

/** SPIRE has none of its own. */
const DEADLINE_MS = 60_000;

/** @see plugin-wire §8.6 */
export function createBundlePublisher(plugin: Plugin): BundlePublisher {
  return {
    name: plugin.name,
    publishBundle: async (bundle, signal) => {
      const request = { bundle: toWireBundle(bundle) };
      await plugin.run(
        (generation) => service.of(generation).publishBundle(request, { signal, deadlineMs: DEADLINE_MS }),
        { repeatable: true, signal },
      );
    },
  };
}

const service = new PluginService(BundlePublisherDefinition);
