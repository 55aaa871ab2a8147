import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { defineWorkloadAttestor, servePlugin } from '../../src/plugin-sdk/index.ts';

// A second attestor beside `unix`: what stands behind `-lane` in the command line of a process.
await servePlugin(
  defineWorkloadAttestor({
    name: 'lane',
    config: z.strictObject({}),
    configure: () => undefined,
    attest: async (pid) => {
      const words = (await readFile(`/proc/${pid}/cmdline`, 'utf8')).split('\0');
      const at = words.indexOf('-lane');
      const lane = at === -1 ? undefined : words[at + 1];
      return lane === undefined ? [] : [lane];
    },
  }),
);
