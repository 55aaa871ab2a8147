import { isIP } from 'node:net';
import { SpiffeError } from '../../plugin-sdk/index.ts';
import { SERVICE_ACCOUNT_FOLDER, SERVICE_VARIABLES } from './defaults.ts';
import type { KubeconfigContext } from './kubeconfig.ts';

/**
 * What every pod is given: the API server's address in variables, its authority and a token of the pod's service account in files.
 *
 * @param where for messages, such as `clusters.main.kube_config_file`
 * @throws SpiffeError `CONFIG_INVALID` outside of a pod
 * @see Kubernetes documentation, "Accessing the Kubernetes API from a Pod"
 */
export function inClusterContext(where: string, environment: NodeJS.ProcessEnv = process.env): KubeconfigContext {
  const [host = '', port = ''] = SERVICE_VARIABLES.map((name) => environment[name]);
  if (host === '' || port === '') {
    throw new SpiffeError(
      'CONFIG_INVALID',
      `${where} is needed: without it the API server of the cluster is asked that this server runs in, and it runs in none, as ${SERVICE_VARIABLES.join(' and ')} are not set`,
    );
  }
  const server = `https://${isIP(host) === 6 ? `[${host}]` : host}:${port}`;
  if (!URL.canParse(server)) {
    throw new SpiffeError(
      'CONFIG_INVALID',
      `${SERVICE_VARIABLES.join(' and ')} make no URL: ${JSON.stringify(server)}`,
    );
  }
  const file = (name: string) => ({ kind: 'file', path: `${SERVICE_ACCOUNT_FOLDER}/${name}`, field: name }) as const;
  return {
    server: new URL(server),
    serverName: undefined,
    isVerified: true,
    authorities: file('ca.crt'),
    token: file('token'),
    client: undefined,
  };
}
