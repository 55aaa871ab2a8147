import { AgentDefinition } from '../../../gen/spire/api/server/agent/v1/agent.ts';
import type { Agent } from '../../../gen/spire/api/types/types.ts';
import { RemoteError } from '../../../rpc/status.ts';
import { type AdminContext, adminCommand } from '../../admin-channel.ts';
import { formatApiId } from '../../api-ids.ts';
import { durationSeconds, toggle } from '../../flag-kinds.ts';
import { formatAgentField, listAgents } from '../../list-agents.ts';
import { formatCount } from '../../output.ts';

const DEFAULT_EXPIRED_FOR_SECONDS = 720 * 3600;

interface Purged {
  readonly agent_id: string;
  readonly deleted: boolean;
  readonly error?: string;
}

export const agentPurge = adminCommand({
  summary: 'Forget agents that can attest again and whose SVID expired long ago',
  flags: {
    expiredFor: durationSeconds('How long ago the SVID must have expired', DEFAULT_EXPIRED_FOR_SECONDS),
    dryRun: toggle('Only tell which ones'),
  },
  run: async ({ expiredFor, dryRun }, context) => {
    const { terminal, isJson } = context;
    const before = BigInt(Math.floor(Date.now() / 1000) - expiredFor);
    const filter = { byAttestationType: '', bySelectorMatch: undefined, byBanned: undefined, byExpiresBefore: '' };
    const agents = await listAgents(context, { ...filter, byCanReattest: true });
    const results: Purged[] = [];
    for (const agent of agents.filter(({ x509svidExpiresAt }) => x509svidExpiresAt < before)) {
      results.push(dryRun ? { agent_id: formatApiId(agent.id), deleted: false } : await purge(agent, context));
    }
    terminal.print(isJson ? `${JSON.stringify({ expired_agents: results })}\n` : formatPurged(results, dryRun));
  },
});

async function purge({ id }: Agent, { client }: AdminContext): Promise<Purged> {
  const agent_id = formatApiId(id);
  try {
    await client(AgentDefinition).deleteAgent({ id });
    return { agent_id, deleted: true };
  } catch (error) {
    if (!(error instanceof RemoteError)) throw error;
    return { agent_id, deleted: false, error: error.message };
  }
}

function formatPurged(results: readonly Purged[], dryRun: boolean): string {
  if (results.length === 0) return 'No agents to purge.\n';
  const ids = (shown: readonly Purged[]) =>
    shown.map(({ agent_id, error }) => {
      const reason = error === undefined ? '' : formatAgentField('Error', error);
      return `${formatAgentField('SPIFFE ID', agent_id)}${reason}`;
    });
  const section = (title: string, shown: readonly Purged[]) =>
    shown.length === 0 ? [] : [`${title}:\n`, ...ids(shown)];
  const sections = dryRun
    ? section('Agents that can be purged', results)
    : [
        ...section(
          'Agents purged',
          results.filter(({ deleted }) => deleted),
        ),
        ...section(
          'Agents not purged',
          results.filter(({ deleted }) => !deleted),
        ),
      ];
  return `Found ${formatCount(results.length, 'expired agent', 'expired agents')}\n\n${sections.join('')}`;
}
