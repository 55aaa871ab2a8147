import { AttemptsDefinition } from '../../gen/assayer/server/attempts/v1/attempts.ts';
import { type BoundService, bindService } from '../../rpc/service.ts';
import type { AttemptLog } from './attempt-log.ts';

const DEFAULT_LIMIT = 50;
const MAX_LIMIT = 1000;

/** Tells administrators who tried to attest. SPIRE has nothing like it. */
export function attemptsService(attempts: AttemptLog): BoundService {
  return bindService(AttemptsDefinition, {
    async listAttempts({ attestationType, address, attested, limit }) {
      const filter = {
        attested,
        ...(attestationType !== '' && { attestationType }),
        ...(address !== '' && { address }),
      };
      const found = await attempts.list(filter, Math.min(limit || DEFAULT_LIMIT, MAX_LIMIT));
      return {
        attempts: found.map(({ count, firstAt, lastAt, ...attempt }) => ({
          ...attempt,
          count: BigInt(count),
          firstAt: BigInt(firstAt),
          lastAt: BigInt(lastAt),
        })),
      };
    },
  });
}
