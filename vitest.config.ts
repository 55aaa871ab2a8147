import { defineConfig } from 'vitest/config';
import { switchOffCheck } from './test/harness/switch-off-check.ts';

/** Set by `npm run test:checks` alone. What it transforms must not be kept: the cache knows sources, not switches. */
const switchedOff = process.env.ASSAYER_SWITCH_OFF;
/** Set by `npm run test:k8s` alone, to the folder with the programs of Kubernetes. */
const ofKubernetes = process.env.ASSAYER_TEST_KUBERNETES !== undefined;

export default defineConfig({
  plugins: switchedOff === undefined ? [] : [switchOffCheck(switchedOff)],
  test: {
    include: [ofKubernetes ? 'test/kubernetes/**/*.test.ts' : 'test/**/*.test.ts'],
    exclude: ofKubernetes ? [] : ['test/kubernetes/**'],
    globalSetup: ['scripts/test/build-programs.js'],
    pool: 'forks',
    testTimeout: ofKubernetes ? 180_000 : 30_000,
    hookTimeout: 120_000,
    // What is waited for comes late on a machine that does many other things; waiting costs nothing where it comes.
    expect: { poll: { timeout: 20_000, interval: 20 } },
    sequence: { hooks: 'stack' },
    ...(switchedOff === undefined ? {} : { fsModuleCache: false }),
  },
});
