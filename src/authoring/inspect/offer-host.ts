import { AgentStoreDefinition } from '../../gen/spire/hostservice/server/agentstore/v1/agentstore.ts';
import { IdentityProviderDefinition } from '../../gen/spire/hostservice/server/identityprovider/v1/identityprovider.ts';
import type { Logger } from '../../log/logger.ts';
import { HostServiceServer } from '../../plugin-host/host-service-server.ts';
import { LateHostService } from '../../plugin-host/late-host-service.ts';
import { metricsService } from '../../plugin-host/metrics-service.ts';
import type { PluginConnection } from '../../plugin-host/plugin-connection.ts';
import type { BoundService } from '../../rpc/service.ts';
import type { Trial } from '../trial/trial.ts';

/** Listens for the plugin's calls to its host, and tells it where. */
export async function offerHost(trial: Trial, connection: PluginConnection): Promise<HostServiceServer> {
  const { folder, log, autoMtls } = trial;
  const server = await HostServiceServer.listen({
    path: folder.join('host'),
    userId: folder.userId,
    services: hostServices(log),
    autoMtls,
    log,
  });
  await connection.offerHostServices(server.path);
  return server;
}

export function hostServiceNames(log: Logger): readonly string[] {
  return hostServices(log).map(({ definition }) => definition.fullName);
}

/** Those of the server, the agent's among them: of which side the plugin is, it has yet to say. */
function hostServices(log: Logger): readonly BoundService[] {
  const late = [new LateHostService(IdentityProviderDefinition), new LateHostService(AgentStoreDefinition)];
  return [...late.map(({ service }) => service), metricsService(log)];
}
