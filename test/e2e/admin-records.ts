import { AgentDefinition } from '../../src/gen/spire/api/server/agent/v1/agent.ts';
import type { TestServer } from '../harness/running-server.ts';

/** What the server remembers of a node. */
export interface AgentRecord {
  readonly agentId: string;
  readonly selectors: readonly string[];
  readonly canReattest: boolean;
  readonly serialNumber: string;
}

export async function agentRecords(server: TestServer): Promise<readonly AgentRecord[]> {
  const { agents } = await server.admin(AgentDefinition).listAgents({
    filter: undefined,
    outputMask: undefined,
    pageSize: 0,
    pageToken: '',
  });
  return agents.map(({ id, selectors, canReattest, x509svidSerialNumber }) => ({
    agentId: `spiffe://${id?.trustDomain}${id?.path}`,
    selectors: selectors.map(({ type, value }) => `${type}:${value}`),
    canReattest,
    serialNumber: x509svidSerialNumber,
  }));
}
