import { AgentDefinition } from '../../src/gen/spire/api/server/agent/v1/agent.ts';
import type { Driver } from '../driver/driver.ts';
import { createEntries } from '../driver/entries.ts';
import { WORKLOAD_LOADS } from '../driver/job.ts';
import { BenchAgent } from '../process/agent.ts';
import { BenchServer, TRUST_DOMAIN } from '../process/server.ts';
import { type LoadsOptions, type LoadsResult, measureLoads } from './server-loads.ts';

/** The Workload API of an agent on which this user has one entry. */
export async function measureWorkloadLoads(driver: Driver, options: LoadsOptions): Promise<LoadsResult> {
  const { folder, dist, isWanted } = options;
  const wanted = WORKLOAD_LOADS.filter(isWanted);
  if (wanted.length === 0) return { loads: [], memory: [] };
  await using server = await BenchServer.start({ folder: `${folder}/workload-server`, dist });
  const request = { ttl: 600, token: '', agentId: { trustDomain: TRUST_DOMAIN, path: '/node' } };
  const { value: joinToken } = await server.admin(AgentDefinition).createJoinToken(request);
  await createEntries(server.channel, [entryOfThisUser('/node')]);
  await using agent = await BenchAgent.start({ folder: `${folder}/agent`, dist, server, evidence: { joinToken } });
  await agent.waitForSvid();
  const { workloadSocket } = agent;
  return await measureLoads(driver, wanted, [agent.program], { server, workloadSocket }, options);
}

/** An identity for processes of the user who runs the bench, below a node's alias. */
export function entryOfThisUser(parentPath: string) {
  const uid = process.getuid?.() ?? 0;
  return {
    trustDomain: TRUST_DOMAIN,
    path: '/workload',
    parentPath,
    selectors: [['unix', `uid:${uid}`] as const],
  };
}
