import { type ConfigureContext, SpiffeError } from '../../plugin-sdk/index.ts';
import { type K8sConfig, nodeName } from './config.ts';
import { CredentialFiles } from './credential-files.ts';
import type { CredentialPaths } from './credentials.ts';
import { DEFAULTS } from './defaults.ts';
import { type KubeletAddress, KubeletClient } from './kubelet-client.ts';
import { parsePodList } from './parse-pod-list.ts';
import { PodList } from './pod-list.ts';

/** A configuration in force. */
export interface K8sState extends Disposable {
  readonly podList: PodList;
  readonly attempts: number;
  readonly retryIntervalMs: number;
  /** False: a process is known by its pod alone. */
  readonly ofContainers: boolean;
  /** Of the kubelet, as paths of cgroups have it. */
  readonly cgroupRoot: string | undefined;
  readonly isVerbose: boolean;
}

/** @throws SpiffeError `CONFIG_INVALID` for files that cannot be used */
export async function openState(config: K8sConfig, { log }: ConfigureContext): Promise<K8sState> {
  const client = new KubeletClient(await openAddress(config, log));
  const retryIntervalMs = config.poll_retry_interval ?? DEFAULTS.retryIntervalMs;
  const podList = new PodList(async (signal) => parsePodList(await client.fetchPodList(signal)), retryIntervalMs / 2);
  return {
    podList,
    attempts: config.max_poll_attempts,
    retryIntervalMs,
    ofContainers: !config.disable_container_selectors,
    cgroupRoot: config.cgroup_root,
    isVerbose: config.verbose_container_locator_logs,
    [Symbol.dispose]: () => podList[Symbol.dispose](),
  };
}

async function openAddress(config: K8sConfig, log: ConfigureContext['log']): Promise<KubeletAddress> {
  const { kubelet_read_only_port: readOnlyPort } = config;
  if (readOnlyPort !== undefined) return { kind: 'read-only', port: readOnlyPort };
  return {
    kind: 'secure',
    port: config.kubelet_secure_port ?? DEFAULTS.securePort,
    nodeName: config.node_name ?? nodeNameOfEnvironment(config.node_name_env ?? DEFAULTS.nodeNameVariable),
    isVerified: !config.skip_kubelet_verification,
    credentials: await CredentialFiles.open(
      credentialPaths(config),
      config.reload_interval ?? DEFAULTS.reloadIntervalMs,
      log,
    ),
  };
}

/** A certificate goes before a token, and no name at all before both, as with SPIRE. */
function credentialPaths(config: K8sConfig): CredentialPaths {
  const { certificate_path: certificate, private_key_path: key, use_anonymous_authentication: isAnonymous } = config;
  const ca = config.skip_kubelet_verification ? undefined : (config.kubelet_ca_path ?? DEFAULTS.caPath);
  if (isAnonymous) return { ca, token: undefined, client: undefined };
  if (certificate !== undefined && key !== undefined) return { ca, token: undefined, client: { certificate, key } };
  return { ca, token: config.token_path ?? DEFAULTS.tokenPath, client: undefined };
}

function nodeNameOfEnvironment(variable: string): string | undefined {
  const value = process.env[variable];
  if (value === undefined || value === '') return undefined;
  if (nodeName.safeParse(value).success) return value;
  throw new SpiffeError(
    'CONFIG_INVALID',
    `node_name_env: the variable ${variable} holds ${JSON.stringify(value.slice(0, 200))}, which is not the name of a node`,
  );
}
