import { z } from 'zod';
import { defineWorkloadAttestor, SpiffeError, servePlugin } from '../../src/plugin-sdk/index.ts';

// A workload attestor of any name that says what its configuration says, or fails as one does that may not open its socket.
await servePlugin(
  defineWorkloadAttestor({
    name: process.argv[2] ?? 'naming',
    config: z.strictObject({ selectors: z.array(z.string()).default([]), unreadable: z.string().optional() }),
    configure: (config) => config,
    attest: async (_pid, { selectors, unreadable }) => {
      if (unreadable === undefined) return selectors;
      throw new SpiffeError('PERMISSION_DENIED', `cannot connect to ${unreadable}: permission denied`);
    },
  }),
);
