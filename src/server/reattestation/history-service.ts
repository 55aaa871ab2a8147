import { MAX_VERDICTS, type VerdictRepository } from '../../datastore/verdict-repository.ts';
import { HistoryDefinition } from '../../gen/assayer/server/reattest/v1/reattest.ts';
import type { CallContext } from '../../rpc/call.ts';
import { type BoundService, bindService } from '../../rpc/service.ts';
import { SpiffeError } from '../../spiffe/error.ts';
import { parseSpiffeId } from '../../spiffe/spiffe-id.ts';
import type { Access } from '../authorization/access.ts';

export interface HistoryServiceOptions {
  readonly verdicts: Pick<VerdictRepository, 'list'>;
  /** What the call may see. */
  readonly access: (context: CallContext) => Pick<Access, 'seesAgent'>;
}

const DEFAULT_LIMIT = 50;

/** Tells administrators what the evidence of an agent came to. SPIRE has nothing like it. */
export function historyService({ verdicts, access }: HistoryServiceOptions): BoundService {
  return bindService(HistoryDefinition, {
    async listVerdicts({ agentId, limit }, context) {
      const id = parseSpiffeId(agentId);
      if (!access(context).seesAgent(id)) throw new SpiffeError('AGENT_NOT_FOUND', `no attested agent "${id}"`);
      const found = await verdicts.list(id, Math.min(limit || DEFAULT_LIMIT, MAX_VERDICTS));
      return {
        verdicts: found.map(({ verdict, reason, policies, evidenceSha256, count, firstAt, lastAt }) => ({
          verdict,
          reason,
          policies: [...policies],
          evidenceSha256,
          count: BigInt(count),
          firstAt: BigInt(firstAt),
          lastAt: BigInt(lastAt),
        })),
      };
    },
  });
}
