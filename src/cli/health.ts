import { PluginsDefinition } from '../gen/assayer/plugin/v1/plugin.ts';
import { HealthDefinition, HealthCheckResponse_ServingStatus as Serving } from '../gen/grpc/health/v1/health.ts';
import { RpcChannel } from '../rpc/channel.ts';
import { createClient } from '../rpc/client.ts';
import { messageOf, SpiffeError } from '../spiffe/error.ts';
import { toggle } from './flag-kinds.ts';
import type { FlagValues } from './flags.ts';
import { explainCallError, resolveSocketPath, type SocketNaming, type socketFlags } from './socket-path.ts';
import type { Terminal } from './terminal.ts';

export const healthFlags = {
  shallow: toggle('Ask for less; taken for compatibility, the check is the same'),
  verbose: toggle('Print what is done'),
};

type HealthFlags = typeof healthFlags & ReturnType<typeof socketFlags>;

/** A program that does not answer within this is not healthy. */
const DEADLINE_MS = 10_000;

/** Asks a program's health service. @throws SpiffeError unless it is serving */
export async function checkHealth(
  naming: SocketNaming,
  values: FlagValues<HealthFlags>,
  terminal: Terminal,
): Promise<void> {
  const path = resolveSocketPath(naming, values, terminal.env);
  if (values.verbose) terminal.print(`Checking ${naming.program} health at ${path}...\n`);
  using channel = RpcChannel.unix(path);
  const status = await askHealth(channel).catch(async (error: unknown) => {
    const reason = await explainCallError(error, path, naming);
    throw unhealthy(naming, messageOf(reason), error);
  });
  const name = Object.entries(Serving).find(([, known]) => known === status)?.[0] ?? String(status);
  if (status !== Serving.SERVING) {
    const plugins = await describeUnhealthyPlugins(channel);
    throw unhealthy(naming, [`it returned status ${name}`, ...plugins].join('; '));
  }
  terminal.print(`${naming.program === 'server' ? 'Server' : 'Agent'} is healthy.\n`);
}

async function askHealth(channel: RpcChannel): Promise<Serving> {
  const { status } = await createClient(HealthDefinition, channel).check({ service: '' }, { deadlineMs: DEADLINE_MS });
  return status;
}

/** The plugins that are the reason, by name; none where this user may not know. */
async function describeUnhealthyPlugins(channel: RpcChannel): Promise<readonly string[]> {
  const client = createClient(PluginsDefinition, channel);
  const { plugins } = await client.listPlugins({}, { deadlineMs: DEADLINE_MS }).catch(() => ({ plugins: [] }));
  return plugins
    .filter(({ state }) => state === 'unhealthy')
    .map(({ type, name, lastError }) => `plugin ${type} "${name}" keeps ending: ${lastError}`);
}

function unhealthy({ program }: SocketNaming, reason: string, cause?: unknown): SpiffeError {
  return new SpiffeError('FAILED_PRECONDITION', `${program} is unhealthy: ${reason}`, { cause });
}
