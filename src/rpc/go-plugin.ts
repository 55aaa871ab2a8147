/** Every type of plugin that SPIRE knows; the name is the magic cookie's key and value on both sides. */
export const PLUGIN_TYPES = [
  'KeyManager',
  'NodeAttestor',
  'UpstreamAuthority',
  'Notifier',
  'BundlePublisher',
  'CredentialComposer',
  'SVIDStore',
  'WorkloadAttestor',
] as const;
export type PluginType = (typeof PLUGIN_TYPES)[number];

export type PluginSide = 'server' | 'agent';

/** go-plugin's own version: field 1 of the handshake. */
export const CORE_PROTOCOL_VERSION = 1;
/** SPIRE's: field 2 of the handshake. */
export const APP_PROTOCOL_VERSION = 1;

/** The names of the environment variables between host and plugin. */
export const PLUGIN_ENVIRONMENT = {
  protocolVersions: 'PLUGIN_PROTOCOL_VERSIONS',
  /** Ports for a plugin that has no Unix sockets. */
  minPort: 'PLUGIN_MIN_PORT',
  maxPort: 'PLUGIN_MAX_PORT',
  /** PEM of the host's one-time certificate; its presence switches AutoMTLS on. */
  clientCertificate: 'PLUGIN_CLIENT_CERT',
  multiplex: 'PLUGIN_MULTIPLEX_GRPC',
  /** Folder for the sockets that the plugin makes; the temporary folder where absent. */
  socketFolder: 'PLUGIN_UNIX_SOCKET_DIR',
  /** Group that the plugin gives its sockets to. */
  socketGroup: 'PLUGIN_UNIX_SOCKET_GROUP',
  /** Ours: path of the socket of a plugin that is started by somebody else than its host, which attaches to it. */
  attachedSocket: 'ASSAYER_PLUGIN_SOCKET',
} as const;

/** The name that a plugin's health service answers for. */
export const HEALTH_SERVICE_NAME = 'plugin';

/** The brokered connection that carries the host services. */
export const HOST_SERVICES_BROKER_ID = 1;

/** How long a side waits for a `ConnInfo`, and keeps one that nobody asked for. */
export const BROKER_WAIT_MS = 5_000;

/** gRPC metadata of a node's attestation. Source: SPIRE's, but for the first. */
export const ATTESTATION_METADATA = {
  /**
   * SubjectPublicKeyInfo (DER) of the agent's CSR, to both halves of an attestor, so that a proof can be bound to the
   * key that it is for. Ours: a plugin that does not know it ignores it, a host of SPIRE's does not send it.
   */
  csrPublicKey: 'assayer-csr-spki-bin',
  /** What the stages before this one of a composite attestation found: a JSON list of selectors, `type:value`. Ours, too. */
  earlierSelectors: 'assayer-earlier-selectors-bin',
  /** What the node called the server; nobody vouches for it. May be empty. */
  forwardedHost: 'x-untrusted-forwarded-host',
  /** The node's address, as the server sees it. May be empty. */
  clientAddress: 'x-forwarded-client-ip',
} as const;

/** gRPC metadata of `AttestReference`: the SPIFFE ID of who asks on behalf of the workload, where somebody does. */
export const BROKER_CALLER_METADATA = 'spire-agent-broker-caller-id';

/** What precedes the name of a message in the type URL of a `google.protobuf.Any`. */
const TYPE_URL_PREFIX = 'type.googleapis.com/';

/** Type URLs of the references to a workload that SPIRE knows. Source: plugin-wire §8.9. */
export const REFERENCE_TYPES = {
  process: `${TYPE_URL_PREFIX}spiffe.broker.WorkloadPIDReference`,
  kubernetesObject: `${TYPE_URL_PREFIX}spiffe.broker.KubernetesObjectReference`,
} as const;

/** Full gRPC name of the service that makes a plugin one of its type. */
export function pluginServiceName(side: PluginSide, type: PluginType, version = 1): string {
  return `spire.plugin.${side}.${type.toLowerCase()}.v${version}.${type}`;
}

/** Variables that every plugin of this type needs, the magic cookie first. */
export function handshakeEnvironment(type: PluginType): Readonly<Record<string, string>> {
  return {
    [type]: type,
    [PLUGIN_ENVIRONMENT.protocolVersions]: String(APP_PROTOCOL_VERSION),
    [PLUGIN_ENVIRONMENT.minPort]: '10000',
    [PLUGIN_ENVIRONMENT.maxPort]: '25000',
  };
}
