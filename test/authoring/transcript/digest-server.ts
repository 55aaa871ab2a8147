import { createHash, randomBytes } from 'node:crypto';
import { z } from 'zod';
import { agentId, defineServerNodeAttestor, SpiffeError, servePlugin } from '../../../src/plugin-sdk/index.ts';

// A server half that asks for SHA-256(challenge, payload), as a Go plugin of the tests does, and can be made careless in several ways.
await servePlugin(
  defineServerNodeAttestor({
    name: 'digest',
    config: z.strictObject({
      /** Sizes of what is drawn from the host; the first one becomes the challenge. */
      draws: z.array(z.int()).default([32]),
      challenge: z.enum(['drawn', 'own', 'fixed']).default('drawn'),
      rounds: z.int().default(1),
      careless: z.boolean().default(false),
      can_reattest: z.boolean().default(true),
      suffix: z.string().default(''),
      selectors: z.array(z.string()).default(['a', 'b']),
      refuse: z.string().default(''),
      crash: z.boolean().default(false),
      tell_time: z.boolean().default(false),
    }),
    configure: (config) => config,
    async *attest(payload, config, { trustDomain, randomBytes: draw, now }) {
      if (config.crash) process.exit(3);
      const drawn: Uint8Array[] = [];
      for (const size of config.draws) drawn.push(await draw(size));
      for (let round = 0; round < config.rounds; round++) {
        const challenge =
          config.challenge === 'fixed'
            ? Buffer.from('fixed')
            : config.challenge === 'own'
              ? randomBytes(32)
              : (drawn[0] ?? new Uint8Array(0));
        const answer = yield challenge;
        const expected = createHash('sha256').update(challenge).update(payload).digest();
        if (!config.careless && !expected.equals(answer)) {
          throw new SpiffeError('ATTESTATION_DENIED', 'the answer is wrong');
        }
      }
      if (config.refuse !== '') throw new SpiffeError('ATTESTATION_DENIED', config.refuse);
      const time = config.tell_time
        ? [`time:${(await now()).toISOString()}`, `later:${(await now()).toISOString()}`]
        : [];
      return {
        spiffeId: agentId(trustDomain, 'digest', `${Buffer.from(payload)}${config.suffix}`),
        selectorValues: [...config.selectors, ...time],
        canReattest: config.can_reattest,
      };
    },
  }),
);
