import type { ConfigureContext } from '../../plugin-sdk/index.ts';
import type { ApiClient } from '../kubernetes/api-client.ts';
import { ApiClients } from '../kubernetes/api-clients.ts';
import { type ConfigMapClusterConfig, type ConfigMapConfig, placeOf } from './config.ts';

/** One ConfigMap, with all keys of it that are published: what is applied later without one of them would remove it. */
export interface Target {
  /** The names that the configuration has for it, at least one. */
  readonly ids: readonly string[];
  readonly client: Pick<ApiClient, 'send'>;
  readonly namespace: string;
  readonly name: string;
  readonly entries: readonly ConfigMapClusterConfig[];
}

/** A configuration in force. */
export interface ConfigMapState extends Disposable {
  readonly targets: readonly Target[];
  /** What was published last, by target, as JSON of the data. */
  readonly published: Map<Target, string>;
}

/** @throws SpiffeError `CONFIG_INVALID` for kubeconfigs that cannot be used */
export async function openState(
  { clusters }: ConfigMapConfig,
  { log }: Pick<ConfigureContext, 'log'>,
): Promise<ConfigMapState> {
  const named = Object.entries(clusters);
  if (named.length === 0) log.warning('the bundle is not published by k8s_configmap, as no cluster is configured');
  const kubeconfigs = named.map(([id, config]) => [`clusters.${id}.kubeconfig_path`, config.kubeconfig_path] as const);
  const clients = await ApiClients.open(new Map(kubeconfigs), log);
  const targets = [...Map.groupBy(named, ([, config]) => placeOf(config)).values()].flatMap((group) => {
    const [first] = group;
    if (first === undefined) return [];
    const [, { kubeconfig_path: kubeconfig, namespace, configmap_name: name }] = first;
    return [
      {
        ids: group.map(([id]) => id),
        client: clients.get(kubeconfig),
        namespace,
        name,
        entries: group.map(([, config]) => config),
      },
    ];
  });
  return { targets, published: new Map(), [Symbol.dispose]: () => clients[Symbol.dispose]() };
}
