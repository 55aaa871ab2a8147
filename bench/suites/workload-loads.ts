import type { Driver } from '../driver/driver.ts';
import { WORKLOAD_LOADS } from '../driver/job.ts';
import { TRUST_DOMAIN } from '../process/server.ts';
import { type LoadsOptions, type LoadsResult, measureLoads } from './server-loads.ts';
import { startAgent } from './started-agent.ts';

/** The Workload API of an agent on which this user has one entry. */
export async function measureWorkloadLoads(driver: Driver, options: LoadsOptions): Promise<LoadsResult> {
  const wanted = WORKLOAD_LOADS.filter(options.isWanted);
  if (wanted.length === 0) return { loads: [], memory: [] };
  await using started = await startAgent(options, 'workload', [entryOfThisUser('/node')]);
  const { server, agent } = started;
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
