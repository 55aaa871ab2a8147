import { expect, test } from 'vitest';
import { fetchJwtSvid } from '../../src/agent/workload-api/jwt.ts';
import type { WorkloadDeps } from '../../src/agent/workload-api/workload-deps.ts';
import type { CallContext } from '../../src/rpc/call.ts';
import { SpiffeError } from '../../src/spiffe/error.ts';

test('a token that was signed while its caller ended is not given to whoever is there by then', async () => {
  let hasEnded = false;
  const context = { peer: { kind: 'plugin' }, method: '/m', signal: new AbortController().signal } as CallContext;
  const deps = {
    attest: async () => [],
    spend: () => {},
    requireSame: () => {
      if (hasEnded) throw new SpiffeError('UNAUTHENTICATED', 'the caller has ended');
    },
    goneSignal: () => undefined,
    watch: async function* () {
      yield { entries: [{ spiffeId: 'spiffe://example.org/web', hint: '' }] };
    },
    reattestSeconds: 0,
    fetchJwtSvid: async () => {
      hasEnded = true;
      return { token: 'a.b.c' };
    },
  } as unknown as WorkloadDeps;
  await expect(fetchJwtSvid(deps)({ audience: ['a'], spiffeId: '' }, context)).rejects.toMatchObject({
    code: 'UNAUTHENTICATED',
  });
});
