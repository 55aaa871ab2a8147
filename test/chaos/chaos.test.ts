import { expect, test } from 'vitest';
import { describeWithGo } from '../harness/requires.ts';
import { formatSummary } from './format-summary.ts';
import { runChaos } from './run-chaos.ts';

// The short form of `npm run test:chaos`.
const SEED = Number(process.env.CHAOS_SEED ?? 20_261_128);
const LENGTH_MS = 25_000;
const WORKLOADS = 10;
const isRoot = process.getuid?.() === 0;

describeWithGo('server, agent, their plugins and the network between them, broken at random under load', () => {
  test.runIf(isRoot)(
    `no workload gets what is not its own, and each has what is soon after (CHAOS_SEED=${SEED})`,
    async () => {
      const summary = await runChaos({ seed: SEED, lengthMs: LENGTH_MS, workloads: WORKLOADS });
      process.stdout.write(formatSummary(summary, SEED));
      expect(summary.violations).toEqual([]);
      expect(summary.broken.size).toBeGreaterThan(3);
      expect(summary.told.get('x509')).toBeGreaterThan(WORKLOADS);
      expect(summary.told.get('jwt')).toBeGreaterThan(WORKLOADS);
    },
    240_000,
  );
});
