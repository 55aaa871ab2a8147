import { z } from 'zod';
import type { PluginConfig } from '../../config/plugins.ts';
import { readLoosely } from '../../config/read-setting.ts';
import { reattestationFields } from '../../config/reattestation-fields.ts';

/** What becomes of an agent whose node is no longer what its policy wants. */
export type OnChange = 'selectors' | 'ban' | 'warn';

/** How an attestor's agents are kept under watch. */
export interface ReattestationSettings {
  readonly intervalMs: number;
  readonly onChange: OnChange;
  /** Whom to tell of changes of verdict. */
  readonly webhook?: string | undefined;
}

const settings = z.object(reattestationFields);

/**
 * The attestors whose agents show evidence again and again: `reattest_interval`, `on_change` and `verdict_webhook` of their
 * `plugin_data`, which the attestor checks with the rest.
 *
 * @returns by the attestor's name.
 */
export function readReattestationSettings(
  plugins: readonly PluginConfig[],
): ReadonlyMap<string, ReattestationSettings> {
  return new Map(
    plugins.flatMap(({ type, name, data, enabled }) => {
      if (type !== 'NodeAttestor' || !enabled || data === undefined || !('text' in data)) return [];
      const found = settings.safeParse(readLoosely(data.text));
      const { reattest_interval: intervalMs, on_change: onChange, verdict_webhook: webhook } = found.data ?? {};
      if (intervalMs === undefined || onChange === undefined) return [];
      return [[name, { intervalMs, onChange, ...(webhook === undefined ? {} : { webhook }) }] as const];
    }),
  );
}
