import { NotifierDefinition } from '../../gen/spire/plugin/server/notifier/v1/notifier.ts';
import { toWireBundle } from '../../rpc/plugin-bundle.ts';
import type { Bundle } from '../../spiffe/bundle.ts';
import { type Plugin, PluginService } from '../plugin.ts';

/** Is told of what happens to the server's trust bundle. */
export interface Notifier {
  readonly name: string;
  /** The bundle has changed. A failure is worth a warning, no more. */
  notify(bundle: Bundle, signal: AbortSignal): Promise<void>;
  /** The server starts with this bundle. Any failure, a method that is not there too, is to stop the start. */
  notifyAndAdvise(bundle: Bundle, signal: AbortSignal): Promise<void>;
}

/** SPIRE has none of its own. */
const DEADLINE_MS = 60_000;

/** @see plugin-wire §8.5 */
export function createNotifier(plugin: Plugin): Notifier {
  return {
    name: plugin.name,
    notify: async (bundle, signal) => {
      const event = { $case: 'bundleUpdated', value: { bundle: toWireBundle(bundle) } } as const;
      await plugin.run((generation) => service.of(generation).notify({ event }, { signal, deadlineMs: DEADLINE_MS }), {
        repeatable: true,
        signal,
      });
    },
    notifyAndAdvise: async (bundle, signal) => {
      const event = { $case: 'bundleLoaded', value: { bundle: toWireBundle(bundle) } } as const;
      await plugin.run(
        (generation) => service.of(generation).notifyAndAdvise({ event }, { signal, deadlineMs: DEADLINE_MS }),
        { repeatable: true, signal },
      );
    },
  };
}

const service = new PluginService(NotifierDefinition);
