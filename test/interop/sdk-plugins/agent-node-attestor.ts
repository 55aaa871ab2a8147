import { createHash } from 'node:crypto';
import { z } from 'zod';
import { defineAgentNodeAttestor, SpiffeError, servePlugin } from '../../../src/plugin-sdk/index.ts';

// The agent's half: it answers challenges with SHA-256(challenge, payload), as the Go plugin of that name does.
await servePlugin(
  defineAgentNodeAttestor({
    name: 'digest',
    config: z.strictObject({
      /** The payload; "close" sends none. */
      node: z.string().default(''),
    }),
    configure: ({ node }) => node,
    async *aidAttestation(node) {
      if (node === 'close') return;
      const payload = Buffer.from(node);
      let challenge = yield payload;
      for (;;) {
        const words = Buffer.from(challenge).toString();
        if (words === 'refuse') throw new SpiffeError('ARGUMENT_INVALID', 'the challenge makes no sense');
        challenge = yield words === 'silence'
          ? new Uint8Array()
          : createHash('sha256').update(challenge).update(payload).digest();
      }
    },
  }),
);
