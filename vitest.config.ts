import { defineConfig } from 'vitest/config';
import { switchOffCheck } from './test/harness/switch-off-check.ts';

/** Set by `npm run test:checks` alone. What it transforms must not be kept: the cache knows sources, not switches. */
const switchedOff = process.env.ASSAYER_SWITCH_OFF;

export default defineConfig({
  plugins: switchedOff === undefined ? [] : [switchOffCheck(switchedOff)],
  test: {
    include: ['test/**/*.test.ts'],
    pool: 'forks',
    testTimeout: 30_000,
    hookTimeout: 120_000,
    sequence: { hooks: 'stack' },
    ...(switchedOff === undefined ? {} : { fsModuleCache: false }),
  },
});
