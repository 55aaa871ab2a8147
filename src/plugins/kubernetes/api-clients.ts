import { isSpiffeError, type PluginRuntime, SpiffeError } from '../../plugin-sdk/index.ts';
import { ApiAccessFiles } from './api-access.ts';
import { ApiClient } from './api-client.ts';

/** A client for each kubeconfig that a configuration names, whatever number of clusters shares it. */
export class ApiClients implements Disposable {
  readonly #clients: ReadonlyMap<string | undefined, ApiClient>;

  private constructor(clients: ReadonlyMap<string | undefined, ApiClient>) {
    this.#clients = clients;
  }

  /**
   * @param kubeconfigs by the setting that names each, such as `clusters.main.kube_config_file`; undefined: that of this pod
   * @throws SpiffeError `CONFIG_INVALID` with a line for each that cannot be used
   */
  static async open(
    kubeconfigs: ReadonlyMap<string, string | undefined>,
    log: PluginRuntime['log'],
  ): Promise<ApiClients> {
    const clients = new Map<string | undefined, ApiClient>();
    const problems: string[] = [];
    for (const [setting, kubeconfigPath] of kubeconfigs) {
      if (clients.has(kubeconfigPath)) continue;
      try {
        clients.set(kubeconfigPath, new ApiClient(await ApiAccessFiles.open({ setting, kubeconfigPath }, log)));
      } catch (error) {
        if (!isSpiffeError(error)) throw error;
        problems.push(error.message);
      }
    }
    if (problems.length > 0) throw new SpiffeError('CONFIG_INVALID', problems.join('\n'));
    return new ApiClients(clients);
  }

  /** @param kubeconfigPath one that was opened */
  get(kubeconfigPath: string | undefined): ApiClient {
    const client = this.#clients.get(kubeconfigPath);
    if (client === undefined) throw new SpiffeError('INTERNAL', 'no client was opened for a kubeconfig');
    return client;
  }

  [Symbol.dispose](): void {
    for (const client of this.#clients.values()) client[Symbol.dispose]();
  }
}
