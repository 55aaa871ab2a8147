import { setTimeout as delay } from 'node:timers/promises';
import { EntryDefinition } from '../../src/gen/spire/api/server/entry/v1/entry.ts';
import { Entry } from '../../src/gen/spire/api/types/types.ts';
import type { RpcChannel } from '../../src/rpc/channel.ts';
import { createClient } from '../../src/rpc/client.ts';
import { attestWithToken } from './attest.ts';
import { openTls } from './connections.ts';
import type { Target } from './job.ts';

export interface EntrySpec {
  readonly trustDomain: string;
  readonly path: string;
  readonly parentPath: string;
  /** `type:value` each. */
  readonly selectors: readonly (readonly [type: string, value: string])[];
}

const ENTRIES_A_CALL = 500;

/** @returns the IDs of the entries, in their order. @throws Error where the server refuses one. */
export async function createEntries(channel: RpcChannel, specs: readonly EntrySpec[]): Promise<readonly string[]> {
  const ids: string[] = [];
  for (let start = 0; start < specs.length; start += ENTRIES_A_CALL) {
    ids.push(...(await createInOneCall(channel, specs.slice(start, start + ENTRIES_A_CALL))));
  }
  return ids;
}

async function createInOneCall(channel: RpcChannel, specs: readonly EntrySpec[]): Promise<readonly string[]> {
  const entries = specs.map(({ trustDomain, path, parentPath, selectors }) =>
    Entry.fromPartial({
      spiffeId: { trustDomain, path },
      parentId: { trustDomain, path: parentPath },
      selectors: selectors.map(([type, value]) => ({ type, value })),
    }),
  );
  const { results } = await createClient(EntryDefinition, channel).batchCreateEntry({ entries, outputMask: undefined });
  return results.map(({ status, entry }) => {
    if (status?.code !== 0 || entry === undefined) throw new Error(`an entry was refused: ${status?.message}`);
    return entry.id;
  });
}

/** An agent that has entries, and its connection. */
export interface AgentWithEntries {
  readonly channel: RpcChannel;
  readonly entryIds: readonly string[];
}

const DEADLINE_MS = 30_000;
const POLL_MS = 50;
let nextAgent = 0;

export async function attestAgentWithEntries(
  target: Target,
  admin: RpcChannel,
  count: number,
): Promise<AgentWithEntries> {
  const { path: parentPath, identity } = await attestWithToken(target, admin);
  const { trustDomain } = target;
  nextAgent += 1;
  const specs = Array.from(
    { length: count },
    (_, index): EntrySpec => ({
      trustDomain,
      path: `/agent${process.pid}-${nextAgent}/workload/${index}`,
      parentPath,
      selectors: [['unix', `uid:${index}`]],
    }),
  );
  const entryIds = await createEntries(admin, specs);
  const channel = openTls(target, identity);
  const deadline = performance.now() + DEADLINE_MS;
  for (;;) {
    const { entries } = await createClient(EntryDefinition, channel).getAuthorizedEntries({ outputMask: undefined });
    if (entries.length >= count) return { channel, entryIds };
    if (performance.now() > deadline) throw new Error(`the agent sees ${entries.length} of its ${count} entries`);
    await delay(POLL_MS); // a server may remember entries for a while
  }
}
