import { choice, durationMs, webUrl } from './fields.ts';

const SHORTEST_MS = 100;
const LONGEST_MS = 86_400_000;

/** How an attestor's agents are kept under watch: in its `plugin_data`, which it checks, and the server reads beside it. */
export const reattestationFields = {
  reattest_interval: durationMs
    .refine((ms) => ms >= SHORTEST_MS && ms <= LONGEST_MS, { error: 'must be from "100ms" to "24h"' })
    .optional(),
  on_change: choice(['selectors', 'ban', 'warn']).prefault('selectors'),
  verdict_webhook: webUrl.optional(),
};
