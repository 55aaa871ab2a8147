import { AgentDefinition } from '../../src/gen/spire/api/server/agent/v1/agent.ts';
import { createEntries, type EntrySpec } from '../driver/entries.ts';
import { BenchAgent } from '../process/agent.ts';
import { BenchServer, TRUST_DOMAIN } from '../process/server.ts';

export interface StartedAgent extends AsyncDisposable {
  readonly server: BenchServer;
  readonly agent: BenchAgent;
  /** In the order of the entries. */
  readonly entryIds: readonly string[];
  /** From the start of the agent's process to a workload's X.509-SVID. */
  readonly startMs: number;
}

/** A server with these entries, and an agent of it, `/node`, that has given this process an X.509-SVID. */
export async function startAgent(
  { folder, dist }: { readonly folder: string; readonly dist: string },
  name: string,
  entries: readonly EntrySpec[],
): Promise<StartedAgent> {
  await using stack = new AsyncDisposableStack();
  const server = stack.use(await BenchServer.start({ folder: `${folder}/${name}-server`, dist }));
  const entryIds = await createEntries(server.channel, entries);
  const request = { ttl: 600, token: '', agentId: { trustDomain: TRUST_DOMAIN, path: '/node' } };
  const { value: joinToken } = await server.admin(AgentDefinition).createJoinToken(request);
  const startedAt = performance.now();
  const evidence = { joinToken };
  const agent = stack.use(await BenchAgent.start({ folder: `${folder}/${name}-agent`, dist, server, evidence }));
  await agent.waitForSvid();
  const startMs = performance.now() - startedAt;
  const owner = stack.move();
  return { server, agent, entryIds, startMs, [Symbol.asyncDispose]: () => owner.disposeAsync() };
}
