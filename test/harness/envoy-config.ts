/** Parts of an Envoy's configuration, in Envoy's own words. */

const TLS = 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3';
const HTTP_OPTIONS = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';

/** The cluster that secrets come from: an agent's socket. */
export function agentCluster(name: string, socketPath: string): object {
  return {
    ...staticCluster(name, { pipe: { path: socketPath } }),
    typed_extension_protocol_options: {
      [HTTP_OPTIONS]: {
        '@type': `type.googleapis.com/${HTTP_OPTIONS}`,
        explicit_http_config: { http2_protocol_options: {} },
      },
    },
  };
}

/** A secret by its name, from the agent of a cluster. */
export function secret(name: string, agent: string): object {
  const source = {
    api_type: 'GRPC',
    transport_api_version: 'V3',
    grpc_services: [{ envoy_grpc: { cluster_name: agent } }],
  };
  return {
    name,
    sds_config: { resource_api_version: 'V3', initial_fetch_timeout: '2s', api_config_source: source },
  };
}

export interface Mutual {
  readonly agent: string;
  /** The secret with its own certificate. */
  readonly svid: string;
  /** The secret to verify the peer with. */
  readonly bundle: string;
  /** The SPIFFE ID that the peer has to have. */
  readonly peer: string;
}

function tlsContext({ agent, svid, bundle, peer }: Mutual): object {
  return {
    tls_certificate_sds_secret_configs: [secret(svid, agent)],
    combined_validation_context: {
      default_validation_context: { match_typed_subject_alt_names: [{ san_type: 'URI', matcher: { exact: peer } }] },
      validation_context_sds_secret_config: secret(bundle, agent),
    },
  };
}

/** Upstream by TLS, with a handshake of its own for every request. */
export function mutualCluster(name: string, port: number, mutual: Mutual): object {
  return {
    ...staticCluster(name, address(port)),
    typed_extension_protocol_options: {
      [HTTP_OPTIONS]: {
        '@type': `type.googleapis.com/${HTTP_OPTIONS}`,
        common_http_protocol_options: { max_requests_per_connection: 1 },
        explicit_http_config: { http_protocol_options: {} },
      },
    },
    transport_socket: {
      name: 'envoy.transport_sockets.tls',
      typed_config: {
        '@type': `${TLS}.UpstreamTlsContext`,
        max_session_keys: 0,
        common_tls_context: tlsContext(mutual),
      },
    },
  };
}

/** Takes HTTP by TLS and answers itself, with the SPIFFE ID of whoever called. */
export function mutualListener(name: string, mutual: Mutual): object {
  const answer = {
    match: { prefix: '/' },
    direct_response: { status: 200, body: { inline_string: 'served' } },
    response_headers_to_add: [{ header: { key: 'x-caller', value: '%DOWNSTREAM_PEER_URI_SAN%' } }],
  };
  const transport = {
    name: 'envoy.transport_sockets.tls',
    typed_config: {
      '@type': `${TLS}.DownstreamTlsContext`,
      require_client_certificate: true,
      disable_stateless_session_resumption: true,
      common_tls_context: tlsContext(mutual),
    },
  };
  return listener(name, [answer], { transport_socket: transport });
}

/** Takes HTTP in clear and sends `/<cluster>` to the cluster. */
export function plainListener(name: string, clusters: readonly string[]): object {
  return listener(
    name,
    clusters.map((cluster) => ({ match: { path: `/${cluster}` }, route: { cluster } })),
  );
}

function listener(name: string, routes: readonly object[], chain: object = {}): object {
  const manager = {
    '@type': 'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
    stat_prefix: name,
    route_config: { virtual_hosts: [{ name, domains: ['*'], routes }] },
    http_filters: [
      {
        name: 'envoy.filters.http.router',
        typed_config: { '@type': 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router' },
      },
    ],
  };
  const filters = [{ name: 'envoy.filters.network.http_connection_manager', typed_config: manager }];
  return { name, address: address(0), filter_chains: [{ filters, ...chain }] };
}

function staticCluster(name: string, endpoint: object): object {
  const endpoints = [{ lb_endpoints: [{ endpoint: { address: endpoint } }] }];
  return {
    name,
    type: 'STATIC',
    connect_timeout: '5s',
    load_assignment: { cluster_name: name, endpoints },
  };
}

const address = (port: number) => ({ socket_address: { address: '127.0.0.1', port_value: port } });
