import { WatchDefinition } from '../../src/gen/assayer/server/watch/v1/watch.ts';
import { AgentDefinition } from '../../src/gen/spire/api/server/agent/v1/agent.ts';
import { EntryDefinition } from '../../src/gen/spire/api/server/entry/v1/entry.ts';
import type { RpcChannel } from '../../src/rpc/channel.ts';
import { createClient } from '../../src/rpc/client.ts';
import { type AttestedAgent, attest } from '../driver/attest.ts';
import { openAdmin, openTls } from '../driver/connections.ts';
import type { Target } from '../driver/job.ts';
import { type FromWatchers, sharedNowMs, type ToWatchers } from './messages.ts';

/** Agents that only listen, and ask the server for their entries when they are told to: so many in one process. */
const AT_ONCE = 8;
const synced = new Map<string, number>();

function send(message: FromWatchers): void {
  process.send?.(message);
}

async function start(target: Target, count: number, aliasPath: string): Promise<void> {
  using admin = openAdmin(target);
  const paths: string[] = [];
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      while (paths.length < count) {
        const place = paths.push('') - 1;
        const agent = await attestAs(target, admin, aliasPath);
        paths[place] = agent.path;
        await listen(target, agent);
      }
    }),
  );
  send({ kind: 'ready', paths });
}

async function attestAs(target: Target, admin: RpcChannel, aliasPath: string): Promise<AttestedAgent> {
  const agentId = { trustDomain: target.trustDomain, path: aliasPath };
  const { value } = await createClient(AgentDefinition, admin).createJoinToken({ ttl: 600, token: '', agentId });
  return await attest(target, () => ({
    type: 'join_token',
    payload: Buffer.from(value),
    answer: () => {
      throw new Error('a join token is not challenged');
    },
  }));
}

/** Resolves once the server has said that it would tell. */
async function listen(target: Target, { path, identity }: AttestedAgent): Promise<void> {
  const channel = openTls(target, identity);
  const call = createClient(WatchDefinition, channel).watchChanges({});
  await call.receive();
  const entries = createClient(EntryDefinition, channel);
  void (async () => {
    try {
      for await (const { entries: haveChanged, bundles } of call) {
        if (!haveChanged && !bundles) continue;
        await using sync = entries.syncAuthorizedEntries();
        await sync.send({ outputMask: undefined, ids: [] });
        await sync.receive();
        sync.end();
        if (!synced.has(path)) synced.set(path, sharedNowMs());
      }
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      send({ kind: 'ended', path, timeMs: sharedNowMs(), reason });
    }
  })();
}

process.on('message', (message: ToWatchers) => {
  switch (message.kind) {
    case 'start':
      start(message.target, message.count, message.aliasPath).catch((error: unknown) => {
        send({ kind: 'failed', reason: error instanceof Error ? error.message : String(error) });
      });
      break;
    case 'mark':
      synced.clear();
      send({ kind: 'marked' });
      break;
    case 'report':
      send({ kind: 'synced', timesMs: [...synced.values()] });
      break;
  }
});
process.on('disconnect', () => process.exit());
