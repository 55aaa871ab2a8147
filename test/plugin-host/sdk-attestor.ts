import { z } from 'zod';
import { agentId, defineServerNodeAttestor, servePlugin } from '../../src/plugin-sdk/index.ts';

// A server node attestor that believes everybody, and tells what the host let it know.
await servePlugin(
  defineServerNodeAttestor({
    name: 'sdk',
    config: z.strictObject({}),
    configure: () => undefined,
    async *attest(payload, _state, { trustDomain, csrPublicKey, host, log }) {
      const name = Buffer.from(payload).toString();
      const answer = yield Buffer.from('who?');
      const agentStore = await host.agentStore();
      const { info } = await agentStore.getAgentInfo({ agentId: `spiffe://${trustDomain}/${name}` });
      const metrics = await host.metrics();
      await metrics.incrCounter({ key: ['sdk', 'attested'], val: 1, labels: [] });
      log.info('attested', { node: name });
      process.stdout.write('something printed\n');
      return {
        spiffeId: agentId(trustDomain, 'sdk', name),
        selectorValues: [
          `answer:${Buffer.from(answer)}`,
          `known:${info?.agentId}`,
          `csr:${Buffer.from(csrPublicKey ?? [])}`,
        ],
        canReattest: false,
      };
    },
  }),
);
