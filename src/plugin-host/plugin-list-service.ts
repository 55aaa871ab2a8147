import { type PluginState, PluginsDefinition } from '../gen/assayer/plugin/v1/plugin.ts';
import type { Peer } from '../rpc/peer.ts';
import { type BoundService, bindService } from '../rpc/service.ts';
import { SpiffeError } from '../spiffe/error.ts';
import type { PluginStatus } from './catalog.ts';
import { findMemoryBytes } from './process-memory.ts';

/**
 * `assayer.plugin.v1.Plugins`, for who administers the program.
 *
 * @param mayCall absent, whoever reaches the service may call it.
 */
export function pluginListService(
  plugins: () => readonly PluginStatus[],
  mayCall: (peer: Peer) => boolean = () => true,
): BoundService {
  return bindService(PluginsDefinition, {
    listPlugins: async (_request, { peer }) => {
      if (!mayCall(peer)) {
        throw new SpiffeError('PERMISSION_DENIED', 'plugins are listed to the user of this program and to root alone');
      }
      return { plugins: await Promise.all(plugins().map(toState)) };
    },
  });
}

/** Whether the peer is a process of this program's own user, or of root. */
export function isOwnUser(peer: Peer): boolean {
  return peer.kind === 'unix' && [0, process.geteuid?.()].includes(peer.uid) && peer.isUnchanged();
}

async function toState(status: PluginStatus): Promise<PluginState> {
  const { name, type, builtin, state, pid, generation = 0, restarts = 0, lastError = '', startedAt } = status;
  // While the next process is awaited, the last one's number may be somebody else's already.
  const runningPid = state === 'running' ? pid : undefined;
  const memoryBytes = runningPid === undefined ? undefined : await findMemoryBytes(runningPid);
  return {
    name,
    type,
    builtin,
    state,
    pid: runningPid ?? 0,
    generation,
    restarts,
    lastError,
    startedAt:
      runningPid === undefined || startedAt === undefined ? 0n : BigInt(Math.floor(startedAt.getTime() / 1000)),
    memoryBytes: BigInt(memoryBytes ?? 0),
  };
}
