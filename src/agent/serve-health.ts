import type { AgentConfig } from '../config/agent-config.ts';
import { HealthDefinition } from '../gen/grpc/health/v1/health.ts';
import type { HealthCheck } from '../http/health-checks.ts';
import { openHealthEndpoint } from '../http/health-endpoint.ts';
import type { Logger } from '../log/logger.ts';
import type { PluginCatalog } from '../plugin-host/catalog.ts';
import { pluginsCheck } from '../plugin-host/plugins-check.ts';
import { RpcChannel } from '../rpc/channel.ts';
import { createClient } from '../rpc/client.ts';
import { SpiffeError } from '../spiffe/error.ts';

export interface ServeHealthOptions {
  readonly config: AgentConfig;
  readonly catalog: Pick<PluginCatalog, 'plugins'>;
  /** Whether there is what workloads are answered from. */
  readonly hasEntries: () => boolean;
  readonly log: Logger;
}

const CALL_DEADLINE_MS = 5_000;

/**
 * Opens the endpoint for live and ready where one is configured: an agent that has not attested yet is live, and not ready.
 * The agent's socket is open by then.
 */
export async function serveHealth({
  config: { healthChecks: config, socketPath },
  catalog,
  hasEntries,
  log,
}: ServeHealthOptions): Promise<AsyncDisposable | undefined> {
  const checks = [agentCheck(socketPath, hasEntries), pluginsCheck(() => catalog.plugins)];
  return await openHealthEndpoint({ config, checks, log });
}

/** With SPIRE's names. */
function agentCheck(socketPath: string, hasEntries: () => boolean): HealthCheck {
  return {
    name: 'agent',
    reasonKey: 'make_new_x509_err',
    isLiveAnyway: () => !hasEntries(),
    check: async () => {
      if (!hasEntries())
        throw new SpiffeError('FAILED_PRECONDITION', 'the server has not told what workloads there are');
      using channel = RpcChannel.unix(socketPath); // a new one, as a workload has
      const client = createClient(HealthDefinition, channel);
      await client.check({ service: '' }, { deadlineMs: CALL_DEADLINE_MS }).catch((cause: unknown) => {
        throw new SpiffeError('SOCKET_UNUSABLE', "the agent's socket does not answer: see the log", { cause });
      });
    },
  };
}
