import { AgentDefinition, type ListAgentsRequest_Filter } from '../gen/spire/api/server/agent/v1/agent.ts';
import type { Agent } from '../gen/spire/api/types/types.ts';
import type { AdminContext } from './admin-channel.ts';
import { formatApiId } from './api-ids.ts';
import { formatField, formatTime } from './output.ts';

const PAGE_SIZE = 1000;
const WIDTH = 18;

/** All agents that a filter lets through, page by page. */
export async function listAgents(
  { client }: Pick<AdminContext, 'client'>,
  filter: ListAgentsRequest_Filter,
): Promise<readonly Agent[]> {
  const api = client(AgentDefinition);
  const agents: Agent[] = [];
  let pageToken = '';
  do {
    const page = await api.listAgents({ filter, outputMask: undefined, pageSize: PAGE_SIZE, pageToken });
    agents.push(...page.agents);
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
  return agents;
}

/** An agent as SPIRE's command line shows it, one field a line, with an empty line at its end. */
export function formatAgent(agent: Agent): string {
  const rows: readonly (readonly [name: string, value: unknown])[] = [
    ['SPIFFE ID', formatApiId(agent.id)],
    ['Attestation type', agent.attestationType],
    ['Expiration time', formatTime(agent.x509svidExpiresAt)],
    agent.banned ? ['Banned', true] : ['Serial number', agent.x509svidSerialNumber],
    ['Can re-attest', agent.canReattest],
    ...(agent.agentVersion === '' ? [] : [['Agent version', agent.agentVersion] as const]),
  ];
  return `${rows.map(([name, value]) => formatField(name, value, WIDTH)).join('')}\n`;
}

export function formatAgentField(name: string, value: unknown): string {
  return formatField(name, value, WIDTH);
}
