import type { ConfigureContext } from '../../plugin-sdk/index.ts';
import type { ApiClient } from '../kubernetes/api-client.ts';
import { ApiClients } from '../kubernetes/api-clients.ts';
import type { PsatClusterConfig, PsatServerConfig } from './server-config.ts';

/** A cluster whose agents may be let in. */
export interface PsatCluster {
  readonly name: string;
  readonly config: PsatClusterConfig;
  readonly client: Pick<ApiClient, 'send'>;
}

/** A configuration in force. */
export interface PsatServerState extends Disposable {
  readonly clusters: ReadonlyMap<string, PsatCluster>;
}

/** @throws SpiffeError `CONFIG_INVALID` for kubeconfigs that cannot be used */
export async function openServerState(
  { clusters: configs }: PsatServerConfig,
  { log }: ConfigureContext,
): Promise<PsatServerState> {
  const named = Object.entries(configs);
  if (named.length === 0) log.warning('no agent is let in by k8s_psat, as no cluster is configured');
  const kubeconfigs = named.map(
    ([name, config]) => [`clusters.${name}.kube_config_file`, config.kube_config_file] as const,
  );
  const clients = await ApiClients.open(new Map(kubeconfigs), log);
  const clusters = named.map(
    ([name, config]) => [name, { name, config, client: clients.get(config.kube_config_file) }] as const,
  );
  return { clusters: new Map(clusters), [Symbol.dispose]: () => clients[Symbol.dispose]() };
}
