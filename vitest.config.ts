import { defineConfig } from 'vitest/config';
import { switchOffCheck } from './test/harness/switch-off-check.ts';

/** Set by `npm run test:checks` alone. What it transforms must not be kept: the cache knows sources, not switches. */
const switchedOff = process.env.ASSAYER_SWITCH_OFF;
/** Set by `npm run test:k8s` alone, to the folder with the programs of Kubernetes. */
const ofKubernetes = process.env.ASSAYER_TEST_KUBERNETES !== undefined;
/** Set by `npm run test:vm` alone, to the folder with the kernel that a virtual machine boots. */
const ofMachine = process.env.ASSAYER_TEST_MACHINE !== undefined;

/** Set by `npm run test:minio` alone, to the program. */
const ofMinio = process.env.ASSAYER_TEST_MINIO !== undefined;

/** Suites that need more than others: each has a command of its own. */
const suites = [
  { isWanted: ofKubernetes, files: 'test/kubernetes/**' },
  { isWanted: ofMachine, files: 'test/vm/**' },
  { isWanted: ofMinio, files: 'test/minio/**' },
];
const wanted = suites.find(({ isWanted }) => isWanted);

export default defineConfig({
  plugins: switchedOff === undefined ? [] : [switchOffCheck(switchedOff)],
  test: {
    include: [`${wanted?.files ?? 'test/**'}/*.test.ts`],
    exclude: wanted === undefined ? suites.map(({ files }) => files) : [],
    globalSetup: ['scripts/test/build-programs.js'],
    pool: 'forks',
    testTimeout: wanted === undefined ? 30_000 : 180_000,
    hookTimeout: 120_000,
    // What is waited for comes late on a machine that does many other things; waiting costs nothing where it comes.
    expect: { poll: { timeout: 20_000, interval: 20 } },
    sequence: { hooks: 'stack' },
    // A kubelet removes the cgroups of pods that are another's.
    fileParallelism: !ofKubernetes,
    ...(switchedOff === undefined ? {} : { fsModuleCache: false }),
  },
});
