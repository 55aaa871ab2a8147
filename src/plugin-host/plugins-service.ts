import { type PluginState, PluginsDefinition } from '../gen/assayer/plugin/v1/plugin.ts';
import type { Peer } from '../rpc/peer.ts';
import { type BoundService, bindService } from '../rpc/service.ts';
import { SpiffeError } from '../spiffe/error.ts';
import { isOnThisNode } from './on-this-node.ts';
import type { PluginStatus } from './plugin-status.ts';
import { findMemoryBytes } from './process-memory.ts';

/** What the service needs of a catalog of plugins. */
export interface AdministeredPlugins {
  readonly plugins: readonly PluginStatus[];
  readonly reloader: { reload(name: string, type: string): Promise<void> };
}

/**
 * `assayer.plugin.v1.Plugins`, for who administers the program.
 *
 * @param mayCall absent, whoever reaches the service may call it.
 */
export function pluginsService(
  catalog: AdministeredPlugins,
  mayCall: (peer: Peer) => boolean = () => true,
): BoundService {
  const requireAdministrator = (peer: Peer) => {
    if (mayCall(peer)) return;
    throw new SpiffeError(
      'PERMISSION_DENIED',
      'plugins are listed to, and reloaded for, the user of this program and root alone',
    );
  };
  return bindService(PluginsDefinition, {
    listPlugins: async (_request, { peer }) => {
      requireAdministrator(peer);
      return { plugins: await Promise.all(catalog.plugins.map(toState)) };
    },
    reloadPlugin: async ({ name, type }, { peer }) => {
      requireAdministrator(peer);
      if (name === '') throw new SpiffeError('ARGUMENT_INVALID', 'the name of a plugin is required');
      await catalog.reloader.reload(name, type);
      const status = catalog.plugins.find((one) => one.name === name && (type === '' || one.type === type));
      return { plugin: status && (await toState(status)) };
    },
  });
}

/**
 * Whether the peer is a process of this program's own user, or of root. In a container, which a PID or user namespace makes,
 * root is whoever was let in there.
 */
export function isOwnUser(peer: Peer): boolean {
  return (
    peer.kind === 'unix' && [0, process.geteuid?.()].includes(peer.uid) && isOnThisNode(peer.pid) && peer.isUnchanged() // so it was that very process that was looked at
  );
}

async function toState(status: PluginStatus): Promise<PluginState> {
  const { name, type, builtin, state, pid, generation = 0, restarts = 0, lastError = '', startedAt } = status;
  const { runs = false, version = '', sandbox = [] } = status;
  // While the next process is awaited, the last one's number may be somebody else's already.
  const runningPid = runs ? pid : undefined;
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
    version,
    sandbox: runningPid === undefined ? [] : [...sandbox],
  };
}
