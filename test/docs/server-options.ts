/** What an option says to whoever writes the file. */
export interface Option {
  readonly default: string;
  readonly does: string;
  /** What SPIRE does otherwise; absent: the same. */
  readonly difference?: string;
}

/** @param byDefault as it is written */
export const option = (byDefault: string, does: string, difference?: string): Option => ({
  default: byDefault,
  does,
  ...(difference === undefined ? {} : { difference }),
});

const OURS = 'SPIRE does not have it';
const NONE = 'none';
const PATH = 'a path';
const ACME = {
  directory_url: option("Let's Encrypt", 'the ACME service that the certificate comes from'),
  domain_name: option('required', 'the name that the certificate is for'),
  email: option('required', 'whom the ACME service writes to'),
  tos_accepted: option('`false`', "whether the service's terms are accepted; without that it gives nothing"),
};
const below = (prefix: string, options: Readonly<Record<string, Option>>) =>
  Object.fromEntries(Object.entries(options).map(([key, value]) => [`${prefix}.${key}`, value]));

/** By its path in the file, every option of the server that the schema knows. */
export const SERVER_OPTIONS: Readonly<Record<string, Option>> = {
  ...below('server', {
    trust_domain: option('required', 'the trust domain, without `spiffe://`'),
    data_dir: option('required', 'where the server keeps what is its own'),
    bind_address: option('`0.0.0.0`', 'address of the API for agents and callers over TLS'),
    bind_port: option('`8081`', 'its port'),
    bind_reuse_port: option(
      '`false`',
      'other servers of this host accept at the same port: [several servers](datastore.md#several-servers-at-one-port)',
      OURS,
    ),
    socket_path: option(
      '`/tmp/spire-server/private/api.sock`',
      'the admin socket, for the user and group of the server',
    ),
    admin_ids: option(
      NONE,
      'SPIFFE IDs that administer the server without an entry: [authorization.md](authorization.md)',
    ),
    agent_ttl: option('`default_x509_svid_ttl`', "life of an agent's X.509-SVID"),
    audit_log_enabled: option('`false`', 'a record of every call: [audit-log.md](audit-log.md)'),
    ca_key_type: option('`ec-p256`', '`ec-p256`, `ec-p384`, `rsa-2048` or `rsa-4096`, of the X.509 authority'),
    ca_signing: option(
      '`key_manager`',
      '`key_manager`, or `intermediate`: keys in memory below the authority sign',
      OURS,
    ),
    ca_intermediate_ttl: option('`8h`', 'life of an intermediate CA, with `ca_signing = "intermediate"`', OURS),
    'ca_subject.country': option('`["US"]`', 'subject of the X.509 authority'),
    'ca_subject.organization': option('`["SPIFFE"]`', 'subject of the X.509 authority'),
    'ca_subject.common_name': option(NONE, 'subject of the X.509 authority'),
    ca_ttl: option('`24h`', 'life of an authority'),
    default_x509_svid_ttl: option('`1h`', 'life of an X.509-SVID whose entry does not say'),
    default_jwt_svid_ttl: option('`5m`', 'life of a JWT-SVID whose entry does not say'),
    disable_jwt_svids: option('`false`', 'no JWT-SVIDs and no JWT authorities'),
    jwt_issuer: option(NONE, 'the claim `iss` of JWT-SVIDs'),
    jwt_key_type: option('`ca_key_type`', 'of the JWT authority'),
    log_file: option('standard error', 'the log; SIGUSR2 opens it again'),
    log_level: option('`INFO`', '`panic`, `fatal`, `error`, `warning`, `info`, `debug` or `trace`'),
    log_format: option('`text`', '`text` or `json`'),
    log_source_location: option('`false`', 'the line of the source in every record'),
    max_attested_node_info_staleness: option(
      '`0s`',
      'how long an agent counts as the server last read it',
      'a change that the server hears of, its own or of another server of the database, ends it at once',
    ),
    profiling_enabled: option('`false`', 'profiles of the server: [server.md](../server.md#profiles)'),
    profiling_port: option(
      NONE,
      'port of 127.0.0.1 for them',
      "Node's profiles at `/debug/profile/cpu` and `/heap`, not Go's",
    ),
    profiling_freq: option('0, never', 'seconds from one profile in a file to the next'),
    profiling_names: option(NONE, '`cpu`, `heap`', "Go's other profiles are named in the log and not taken"),
    proxy_protocol_trusted_cidrs: option(
      NONE,
      'networks whose PROXY headers are believed: [server.md](../server.md#behind-a-proxy)',
    ),
    prune_attested_nodes_expired_for: option('never', 'agents whose SVID expired so long ago are forgotten'),
    prune_attested_nodes_batch_size: option('`1000`', 'how many at most, once a minute'),
    prune_tofu_nodes: option('`false`', 'those too that cannot attest again'),
    'ratelimit.attestation': option(
      '`true`',
      'one attestation a second for an address: [server.md](../server.md#rate-limits)',
    ),
    'ratelimit.signing': option('`true`', '500 signatures a second for an address'),
  }),
  ...below('server.audit_log.skip.<name>', {
    methods: option('all', 'methods whose records are left out', OURS),
    callers: option('all', 'callers whose records are left out', OURS),
    status: option('both', '`success`, `error`', OURS),
  }),
  ...below('server.authorization.role.<name>', {
    callers: option('required', 'SPIFFE IDs that have the role', 'in the place of `auth_opa_policy_engine`'),
    methods: option('required', 'what they may call', OURS),
    grants: option(NONE, 'what entries of theirs may have', OURS),
    'scope.parent_ids': option('any', 'parents of entries that the role covers', OURS),
    'scope.parent_id_prefixes': option('any', 'parents that are one of these, or below', OURS),
    'scope.spiffe_id_prefixes': option('any', 'SPIFFE IDs of entries that are one of these, or below', OURS),
    'scope.selector_types': option('any', 'types that selectors of these entries have', OURS),
  }),
  ...below('server.experimental', {
    agent_spiffe_id_as_selector: option('`false`', "an agent's SPIFFE ID is a selector of its node, `spiffe_id:…`"),
    cache_reload_interval: option('`5s`', 'how often the server looks for what others stored, where nobody tells it'),
    full_cache_reload_interval: option('`24h`', 'how often it reads all entries anew'),
    events_based_cache: option(
      '`false`',
      'nothing: the cache always follows the event log',
      'SPIRE reads all entries every `cache_reload_interval` without it',
    ),
    prune_events_older_than: option('`12h`', 'how long events are kept'),
    event_timeout: option('`15m`', 'nothing: events have no gaps here that a server would wait for'),
    sql_transaction_timeout: option('`event_timeout`', 'the old name of that'),
    auth_opa_policy_engine: option('refused', 'see `server.authorization`', 'Rego policies are not evaluated'),
    named_pipe_name: option('refused', 'see `server.socket_path`', 'Windows is not supported'),
    require_pq_kem: option('`false`', 'TLS with X25519MLKEM768 alone'),
    wit_issuer: option(
      NONE,
      'nothing: no WIT-SVIDs are issued, which the log says',
      'SPIRE issues them behind a feature flag',
    ),
    wit_key_type: option('`ca_key_type`', 'nothing, likewise'),
    feature_flags: option(NONE, '`wit-svid` is known, and nothing comes of it'),
  }),
  ...below('server.federation.bundle_endpoint', {
    address: option('`0.0.0.0`', 'address that the bundle is served at'),
    port: option('required', 'its port'),
    refresh_hint: option('`5m`', 'how often others should look'),
    ...below('acme', ACME),
    ...below('profile.https_web.acme', ACME),
    'profile.https_web.serving_cert_file.cert_file_path': option('required', 'certificate chain of the endpoint, PEM'),
    'profile.https_web.serving_cert_file.key_file_path': option('required', 'its private key, PEM'),
    'profile.https_web.serving_cert_file.file_sync_interval': option('`1h`', 'how often the files are looked at'),
    'profile.https_spiffe': option(NONE, "the endpoint shows the server's own X.509-SVID"),
  }),
  ...below('server.federation.federates_with.<name>', {
    bundle_endpoint_url: option('required', 'where the bundle of that trust domain is'),
    'bundle_endpoint_profile.https_web': option(NONE, 'the endpoint has a certificate of the web'),
    'bundle_endpoint_profile.https_spiffe.endpoint_spiffe_id': option(
      'required',
      'the endpoint has an X.509-SVID with this SPIFFE ID',
    ),
  }),
  plugins: option(
    'required',
    'blocks `KIND "NAME" { … }` with `plugin_cmd`, `plugin_args`, `plugin_checksum`, `enabled`, `plugin_data`, `plugin_data_file`: [plugins](../plugins/running.md)',
  ),
  ...below('telemetry', {
    InMem: option(
      NONE,
      'metrics go into the log at SIGUSR1: [metrics.md](../metrics.md)',
      'the totals, where SPIRE has the last minutes',
    ),
    'Prometheus.host': option('`localhost`', 'address of the endpoint that Prometheus scrapes'),
    'Prometheus.port': option('required', 'its port'),
    'Prometheus.tls.cert_file': option(PATH, 'its certificate'),
    'Prometheus.tls.key_file': option(PATH, 'its private key'),
    'Prometheus.tls.client_ca_file': option(NONE, 'authorities of the certificates that clients have to show'),
    'Prometheus.tls.use_spire_svid': option('`false`', "the server's own X.509-SVID instead"),
    'Prometheus.tls.authorized_spiffe_ids': option('any', 'SPIFFE IDs of clients'),
    'Traces.endpoint': option('required', 'where OpenTelemetry traces go: [traces.md](../traces.md)', OURS),
    'Traces.protocol': option('`http/protobuf`', 'that, or `grpc`', OURS),
    'Traces.sampling_ratio': option('`1`', 'which part of the traces is taken', OURS),
    'Traces.ca_file': option(NONE, "authorities of the collector's certificate", OURS),
    'DogStatsd.address': option('required', 'host and port of a Datadog agent', 'no `unix://` sockets'),
    'Statsd.address': option('required', 'host and port of a statsd server'),
    'M3.address': option('required', 'host and port of an M3 collector', 'samples are timers, not histograms'),
    'M3.env': option('required', 'the tag `env`'),
    MetricPrefix: option('`spire_server`', 'first part of every name'),
    EnableTrustDomainLabel: option('`false`', 'the label `trust_domain` on every metric'),
    EnableHostnameLabel: option('`true`', 'the label `host` on every metric'),
    AllowedPrefixes: option('all', 'names that are told'),
    BlockedPrefixes: option(NONE, 'names that are not'),
    AllowedLabels: option('all', 'labels that are told'),
    BlockedLabels: option(NONE, 'labels that are not'),
  }),
  ...below('health_checks', {
    listener_enabled: option('`false`', 'live and ready over HTTP: [cli.md](../cli.md#health-over-http)'),
    bind_address: option('`localhost`', 'its address'),
    bind_port: option('`80`', 'its port'),
    live_path: option('`/live`', 'where it tells whether the server is live'),
    ready_path: option('`/ready`', 'where it tells whether the server is ready'),
  }),
};
