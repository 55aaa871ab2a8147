import { type Option, option, SERVER_OPTIONS } from './server-options.ts';

const OURS = 'SPIRE does not have it';
const below = (prefix: string, options: Readonly<Record<string, Option>>) =>
  Object.fromEntries(Object.entries(options).map(([key, value]) => [`${prefix}.${key}`, value]));

const OF_A_USER =
  'all programs of a user that differ only in what the attestor `unix` says of them have eight times that together';
const LIMIT = (calls: string) =>
  option('0, none', `${calls} a second for all processes with the same selectors together`, OF_A_USER);
const WINDOWS = option('refused', 'a named pipe is for Windows');

/** What both programs read, with the agent's own words where they differ. */
const SHARED = Object.fromEntries(
  Object.entries(SERVER_OPTIONS)
    .filter(([path]) => !path.startsWith('server.'))
    .map(([path, { default: byDefault, does, difference }]) => [
      path,
      option(
        byDefault.replace('spire_server', 'spire_agent'),
        does.replace(/\bserver(?= is)|server(?='s own)/g, 'agent'),
        difference,
      ),
    ]),
);

/** By its path in the file, every option of the agent that the schema knows. */
export const AGENT_OPTIONS: Readonly<Record<string, Option>> = {
  ...SHARED,
  ...below('agent', {
    admin_socket_path: option(
      'none',
      "the admin socket, for the user and group of the agent; not in the folder of the Workload API's",
    ),
    allow_unauthenticated_verifiers: option('`false`', 'bundles for processes without an identity, too'),
    allowed_foreign_jwt_claims: option(
      'none',
      'claims of JWT-SVIDs of other trust domains that callers see beside `sub`, `aud` and `exp`',
    ),
    authorized_delegates: option(
      'none',
      'SPIFFE IDs that may ask for the identities of others: [delegated-identity.md](delegated-identity.md)',
    ),
    availability_target: option(
      'half of the life',
      'how long an outage SVIDs outlive, 24h at least: they are replaced while so much of their life is left',
      'it counts where 12 hours are left beside it',
    ),
    data_dir: option('the working folder', 'what the agent keeps: [agent-data.md](../agent-data.md)'),
    disable_sds_api: option('`false`', "without Envoy's secret discovery"),
    disable_workload_api: option('`false`', 'without the Workload API'),
    insecure_bootstrap: option('`false`', 'the very first server is believed, whoever it is'),
    join_token: option('none', 'a token of `server token generate`, where no plugin attests the node'),
    join_token_file: option('none', 'a file with it'),
    jwt_svid_cache_max_size: option('`1000`', 'JWT-SVIDs that are kept'),
    log_file: option('standard error', 'the log; SIGUSR2 opens it again'),
    log_level: option('`INFO`', '`panic`, `fatal`, `error`, `warning`, `info`, `debug` or `trace`'),
    log_format: option('`text`', '`text` or `json`'),
    log_selectors: option('none', 'beginnings of selectors that the log may have, such as `k8s:ns`'),
    log_source_location: option('`false`', 'the line of the source in every record'),
    profiling_enabled: option('`false`', 'profiles of the agent: [server.md](../server.md#profiles)'),
    profiling_port: option(
      'none',
      'port of 127.0.0.1 for them',
      "Node's profiles at `/debug/profile/cpu` and `/heap`, not Go's",
    ),
    profiling_freq: option('0, never', 'seconds from one profile in a file to the next'),
    profiling_names: option('none', '`cpu`, `heap`', "Go's other profiles are named in the log and not taken"),
    rebootstrap_delay: option(
      '`10m`',
      'how long a server has to stay unverified before the trust bundle is taken from its source again, without an answer of the known one and without a gap of a minute. What that one tainted or revoked is not taken back',
    ),
    rebootstrap_mode: option(
      '`never`',
      'what to do then: `never`; `auto`, where the node can attest again; `always`, even where it needs a new join token then',
      'an agent that starts and has to attest does not wait',
    ),
    server_address: option('required', 'name or address of the server'),
    server_port: option('required', 'its port'),
    socket_path: option('`/tmp/spire-agent/public/api.sock`', 'the Workload API, for every process of the node'),
    trust_bundle_format: option('`pem`', '`pem`, or `spiffe` for a JWKS document'),
    trust_bundle_path: option(
      'one of these',
      'file with the bundle that the server is verified by at first; later ones come from the server',
    ),
    trust_bundle_spiffe_workload_api: option(
      'one of these',
      'address of another Workload API that has it, such as `unix:///run/agent.sock`; `tcp://`, which nothing encrypts, for 127.0.0.0/8 and `[::1]` alone',
    ),
    trust_bundle_unix_socket: option('none', 'socket that `trust_bundle_url`, with `http://`, is asked at'),
    trust_bundle_url: option(
      'one of these',
      'URL of it, `https://`, of a server that the authorities of the system or of `NODE_EXTRA_CA_CERTS` vouch for. A user and password in it are sent; neither they nor the query are in messages',
      'redirects are not followed; 4 MiB at most',
    ),
    trust_domain: option('required', 'the trust domain, without `spiffe://`'),
    workload_x509_svid_key_type: option('`ec-p256`', '`ec-p256`, `ec-p384` or `rsa-2048`', '`ec-p384` besides'),
    x509_svid_cache_max_size: option(
      '`1000`',
      'X.509-SVIDs that are kept ready, of those that were used last; more only for workloads that are connected, and for [SVID stores](svid-stores.md)',
    ),
  }),
  ...below('agent.experimental', {
    admin_named_pipe_name: WINDOWS,
    named_pipe_name: WINDOWS,
    feature_flags: option('none', 'named in the log, and nothing else'),
    jwt_svid_cache_hit_timeout: option(
      '`30s`',
      'how long a caller waits for a fresh JWT-SVID while one is there that is still valid',
    ),
    require_pq_kem: option('`false`', 'TLS with the server only with X25519MLKEM768'),
    sync_interval: option(
      '`5s`',
      'how often the server is asked for changes',
      'a server that [tells of them](../server/push.md) is asked every 30s',
    ),
    use_sync_authorized_entries: option('`true`', 'deprecated: false asks for all entries every time'),
    workload_reattest_interval: option(
      '`5m`',
      'how often a workload with an open stream is attested again; 0s: never',
      OURS,
    ),
    'broker.socket_path': option('none', 'the Broker API on a Unix socket: [broker.md](broker.md)'),
    'broker.bind_address': option('none', 'the same on TCP: an address and a port, such as `127.0.0.1:8443`'),
    'broker.brokers.id': option('required', 'SPIFFE ID of a broker'),
    'broker.brokers.allowed_reference_types.type_url': option(
      'required',
      'a kind of reference that it may use; `*` for all',
    ),
    'broker.brokers.allowed_reference_types.allow_over_tcp': option('`false`', 'over TCP, too'),
    'ratelimit.fetch_x509_svid': LIMIT('`FetchX509SVID` calls'),
    'ratelimit.fetch_jwt_svid': LIMIT('`FetchJWTSVID` calls'),
    'ratelimit.fetch_x509_bundles': LIMIT('`FetchX509Bundles` calls'),
    'ratelimit.fetch_jwt_bundles': LIMIT('`FetchJWTBundles` calls'),
    'ratelimit.stream_secrets': LIMIT('`StreamSecrets` calls'),
    'ratelimit.fetch_secrets': LIMIT('`FetchSecrets` calls'),
  }),
  ...below('agent.sds', {
    default_svid_name: option('`default`', "Envoy's name for the default X.509-SVID"),
    default_bundle_name: option('`ROOTCA`', 'its name for the bundle of the trust domain'),
    default_all_bundles_name: option('`ALL`', 'its name for that and the federated ones'),
    disable_spiffe_cert_validation: option('`false`', "without Envoy's SPIFFE validator"),
  }),
};
