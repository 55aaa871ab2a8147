import { z } from 'zod';
import { defineAgentNodeAttestor, servePlugin } from '../../../src/plugin-sdk/index.ts';

await servePlugin(
  defineAgentNodeAttestor({
    name: 'badge',
    config: z.strictObject({ name: z.string(), word: z.string() }),
    configure: (config) => config,
    async *aidAttestation({ name, word }) {
      yield Buffer.from(name);
      yield Buffer.from(word);
    },
  }),
);
