import { createHash } from 'node:crypto';
import { z } from 'zod';
import { defineAgentNodeAttestor, servePlugin } from '../../../src/plugin-sdk/index.ts';

// The other half: it answers with SHA-256(challenge, payload).
await servePlugin(
  defineAgentNodeAttestor({
    name: 'digest',
    config: z.strictObject({ node: z.string().default('node-1'), fail: z.boolean().default(false) }),
    configure: (config) => config,
    async *aidAttestation({ node, fail }) {
      const payload = Buffer.from(node);
      let challenge = yield payload;
      for (;;) {
        if (fail) throw new RangeError('no answer');
        challenge = yield createHash('sha256').update(challenge).update(payload).digest();
      }
    },
  }),
);
