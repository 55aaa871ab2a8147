import { startSwtpm } from '../../src/testing/swtpm.ts';
import { createEntries } from '../driver/entries.ts';
import { BenchAgent } from '../process/agent.ts';
import { memoryOf } from '../process/proc.ts';
import { BenchServer, TRUST_DOMAIN } from '../process/server.ts';
import type { MemoryResult, TimesResult } from '../results.ts';
import { entryOfThisUser } from './workload-loads.ts';

export interface StartsResult {
  readonly starts: readonly TimesResult[];
  /** Of the last start. */
  readonly memory: readonly MemoryResult[];
}

/**
 * From nothing but a TPM that runs, to a workload that holds its X.509-SVID: server, its plugins, the entries, agent, its
 * plugins, TPM attestation, sync, workload attestation; each time with a TPM and data folders of its own.
 */
export async function measureStarts(folder: string, dist: string, runs: number): Promise<StartsResult> {
  const serverMs: number[] = [];
  const agentMs: number[] = [];
  const wholeMs: number[] = [];
  let memory: readonly MemoryResult[] = [];
  for (let run = 0; run < runs; run += 1) {
    await using tpm = await startSwtpm({ ek: ['rsa-2048', 'ec-p384'] });
    const started = performance.now();
    await using server = await BenchServer.start({
      folder: `${folder}/start-${run}/server`,
      dist,
      softwareEkCaPath: tpm.caPath,
    });
    const serverIsUp = performance.now();
    await createEntries(server.channel, [NODE_ALIAS, entryOfThisUser(NODE_ALIAS.path)]);
    await using agent = await BenchAgent.start({
      folder: `${folder}/start-${run}/agent`,
      dist,
      server,
      evidence: { tcti: tpm.tcti },
    });
    await agent.waitForSvid();
    const ended = performance.now();
    serverMs.push(serverIsUp - started);
    agentMs.push(ended - serverIsUp);
    wholeMs.push(ended - started);
    memory = [...server.program.processes, ...agent.program.processes].map(({ name, pid }) => ({
      process: name,
      when: 'first SVID',
      ...memoryOf(pid),
    }));
  }
  return {
    starts: [
      { name: 'start to first X.509-SVID', timesMs: wholeMs },
      { name: 'of that: server answers', timesMs: serverMs },
      { name: 'of that: agent attests by TPM, workload has its SVID', timesMs: agentMs },
    ],
    memory,
  };
}

/** A name for every node that a TPM vouched for, so that workloads can be entered before the node is known. */
const NODE_ALIAS = {
  trustDomain: TRUST_DOMAIN,
  path: '/tpm-nodes',
  parentPath: '/spire/server',
  selectors: [['tpm', 'csr:bound'] as const],
};
