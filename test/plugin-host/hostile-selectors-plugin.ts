import { z } from 'zod';
import { defineWorkloadAttestor, servePlugin } from '../../src/plugin-sdk/index.ts';

// A workload attestor that answers for each process ID something else that no host should take.
const answers: Readonly<Record<number, () => string[]>> = {
  1: () => Array.from({ length: 20_000 }, (_, index) => `${index}`),
  2: () => ['a', 'b\0c'],
  3: () => ['x'.repeat(100_000)],
  4: () => [''],
  5: () => Array.from({ length: 3 * 2 ** 20 }, () => 'x'),
  6: () => ['two\nlines', 'colon:in:it'],
};

await servePlugin(
  defineWorkloadAttestor({
    name: 'hostile',
    config: z.strictObject({}),
    configure: () => undefined,
    attest: async (pid) => answers[pid]?.() ?? [],
  }),
);
