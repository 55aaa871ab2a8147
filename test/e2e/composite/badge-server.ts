import { z } from 'zod';
import { agentId, defineServerNodeAttestor, SpiffeError, servePlugin } from '../../../src/plugin-sdk/index.ts';

// Believes who knows the word, once, and tells what the stages before it have found.
await servePlugin(
  defineServerNodeAttestor({
    name: 'badge',
    config: z.strictObject({}),
    configure: () => undefined,
    async *attest(payload, _state, { trustDomain, earlierSelectors = [] }) {
      const answer = yield Buffer.from('the word?');
      if (Buffer.from(answer).toString() !== 'swordfish')
        throw new SpiffeError('PERMISSION_DENIED', 'that is not the word');
      const earlier = new Set(earlierSelectors.map(({ type }) => type));
      return {
        spiffeId: agentId(trustDomain, 'badge', Buffer.from(payload).toString()),
        selectorValues: ['known', ...[...earlier].map((type) => `after:${type}`)],
        canReattest: false,
      };
    },
  }),
);
