import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { naturalValue } from '../../src/config/decode.ts';
import { parseHcl } from '../../src/config/hcl.ts';
import { readServerConfig } from '../../src/config/server-config.ts';
import { readServerConfigText } from './read-text.ts';

const path = join(import.meta.dirname, 'fixtures', 'server.conf');
const fixture = readFileSync(path, 'utf8');

const PLUGINS = `
plugins {
  DataStore "sql" {
    plugin_data { database_type = "sqlite3", connection_string = "d.sqlite3" }
  }
  KeyManager "memory" {}
}`;
const server = (lines = '', plugins = PLUGINS) =>
  `server {\n trust_domain = "example.org"\n data_dir = "d"\n${lines}\n}\n${plugins}`;

test('every key of a full file arrives (C001 to C071, C137 to C159)', () => {
  expect(readServerConfig({ path })).toEqual({
    trustDomain: 'example.org',
    dataDir: './.data',
    bindAddress: '127.0.0.1',
    bindPort: 8081,
    socketPath: '/run/spire/private/api.sock',
    adminIds: ['spiffe://example.org/ops/admin'],
    auditLogEnabled: true,
    caKeyType: 'ec-p384',
    jwtKeyType: 'rsa-4096',
    caSubject: { country: ['DE', 'FR'], organization: ['Example'], commonName: 'Example CA' },
    caTtlSeconds: 604_800,
    agentTtlSeconds: 14_400,
    defaultX509SvidTtlSeconds: 7200,
    defaultJwtSvidTtlSeconds: 600,
    disableJwtSvids: false,
    jwtIssuer: 'https://oidc.example.org',
    log: { file: 'server.log', level: 'warning', format: 'json', sourceLocation: true },
    profiling: { enabled: true, port: 6060, dumpEverySeconds: 60, names: ['heap'] },
    maxAttestedNodeInfoStalenessSeconds: 30,
    proxyProtocolTrustedCidrs: ['10.0.0.0/8', 'fd00::/8'],
    pruneAttestedNodes: { expiredForSeconds: 2_592_000, batchSize: 500, includeTofuNodes: true },
    ratelimit: { attestation: false, signing: true },
    federation: {
      bundleEndpoint: {
        address: '0.0.0.0',
        port: 8443,
        refreshHintSeconds: 300,
        profile: {
          type: 'https_web',
          acme: {
            directoryUrl: 'https://acme-v02.api.letsencrypt.org/directory',
            domainName: 'example.org',
            email: 'ops@example.org',
            tosAccepted: true,
          },
        },
        deprecations: [],
      },
      federatesWith: [
        {
          trustDomain: 'domain1.test',
          bundleEndpointUrl: 'https://domain1.test/bundle.json',
          profile: { type: 'https_spiffe', endpointSpiffeId: 'spiffe://domain1.test/spire/server' },
        },
        {
          trustDomain: 'domain2.test',
          bundleEndpointUrl: 'HTTPS://domain2.test/bundle.json',
          profile: { type: 'https_web' },
        },
      ],
    },
    experimental: {
      agentSpiffeIdAsSelector: true,
      cacheReloadIntervalSeconds: 10,
      fullCacheReloadIntervalSeconds: 43_200,
      eventsBasedCache: true,
      pruneEventsOlderThanSeconds: 21_600,
      eventTimeoutSeconds: 300,
      requirePqKem: true,
      witIssuer: 'https://wit.example.org',
      witKeyType: 'rsa-2048',
      featureFlags: ['wit-svid'],
    },
    datastore: {
      databaseType: 'sqlite3',
      connectionString: './.data/datastore.sqlite3',
      path: './.data/datastore.sqlite3',
      disableMigration: false,
    },
    plugins: [
      {
        type: 'DataStore',
        name: 'sql',
        args: [],
        data: { text: 'database_type = "sqlite3"\nconnection_string = "./.data/datastore.sqlite3"\n' },
        enabled: true,
        autoMtls: false,
      },
      { type: 'NodeAttestor', name: 'join_token', args: [], data: undefined, enabled: true, autoMtls: false },
      {
        type: 'NodeAttestor',
        name: 'tpm',
        args: [],
        data: { text: 'ca_path = "/etc/ca"\nnote = "first\\nsecond\\n"\n' },
        enabled: true,
        autoMtls: false,
      },
      { type: 'KeyManager', name: 'memory', args: [], data: undefined, enabled: true, autoMtls: false },
      {
        type: 'UpstreamAuthority',
        name: 'vault',
        command: '/usr/bin/vault-authority',
        args: ['-v', '2'],
        checksum: 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
        data: { file: '/etc/vault.hcl' },
        enabled: false,
        autoMtls: true,
      },
    ],
    telemetry: {
      inMemory: true,
      prometheus: {
        host: 'localhost',
        port: 9988,
        tls: {
          certFile: undefined,
          keyFile: undefined,
          clientCaFile: undefined,
          useSpireSvid: true,
          authorizedSpiffeIds: ['spiffe://example.org/prometheus'],
        },
      },
      dogStatsd: [{ address: 'localhost:8125' }, { address: 'collector:8125' }],
      statsd: [{ address: 'localhost:1337' }, { address: 'collector:1337' }],
      m3: [{ address: 'localhost:9000', env: 'prod' }],
      metricPrefix: 'spire',
      enableTrustDomainLabel: true,
      enableHostnameLabel: false,
      allowedPrefixes: ['a'],
      blockedPrefixes: ['b'],
      allowedLabels: ['c'],
      blockedLabels: ['d'],
    },
    healthChecks: {
      listenerEnabled: true,
      bindAddress: '0.0.0.0',
      bindPort: 8080,
      livePath: '/alive',
      readyPath: '/up',
    },
    warnings: ['feature flag "wit-svid" is experimental'],
  });
});

test('the same file as JSON gives the same configuration', () => {
  const json = JSON.stringify(naturalValue(parseHcl(fixture, 'fixture')));
  expect(readServerConfigText(json)).toEqual(readServerConfig({ path }));
});

test('what a file leaves out has the defaults of the inventory', () => {
  expect(readServerConfigText(server())).toMatchObject({
    bindAddress: '0.0.0.0',
    bindPort: 8081,
    socketPath: '/tmp/spire-server/private/api.sock',
    adminIds: [],
    auditLogEnabled: false,
    caKeyType: 'ec-p256',
    jwtKeyType: 'ec-p256',
    caSubject: { country: ['US'], organization: ['SPIFFE'], commonName: '' },
    caTtlSeconds: 86_400,
    agentTtlSeconds: 3600,
    defaultX509SvidTtlSeconds: 3600,
    defaultJwtSvidTtlSeconds: 300,
    jwtIssuer: undefined,
    log: { file: undefined, level: 'info', format: 'text', sourceLocation: false },
    maxAttestedNodeInfoStalenessSeconds: 0,
    pruneAttestedNodes: undefined,
    ratelimit: { attestation: true, signing: true },
    federation: undefined,
    experimental: { cacheReloadIntervalSeconds: 5, fullCacheReloadIntervalSeconds: 86_400, eventTimeoutSeconds: 900 },
    healthChecks: {
      listenerEnabled: false,
      bindAddress: 'localhost',
      bindPort: 80,
      livePath: '/live',
      readyPath: '/ready',
    },
    telemetry: { inMemory: false, prometheus: undefined, enableHostnameLabel: true, enableTrustDomainLabel: false },
    warnings: [],
  });
});

describe('defaults that follow other keys', () => {
  test.each([
    ['ca_key_type = "RSA-2048"', { caKeyType: 'rsa-2048', jwtKeyType: 'rsa-2048' }],
    ['default_x509_svid_ttl = "30m"', { agentTtlSeconds: 1800 }],
    ['jwt_key_type = ""\nbind_port = 0\nlog_level = ""', { jwtKeyType: 'ec-p256', bindPort: 8081 }],
    ['BIND_PORT = 9000', { bindPort: 9000 }],
    ['bind_address = "[::1]"', { bindAddress: '::1' }],
    [
      'prune_attested_nodes_expired_for = "1h"',
      { pruneAttestedNodes: { expiredForSeconds: 3600, batchSize: 1000, includeTofuNodes: false } },
    ],
  ])('%s', (lines, expected) => {
    expect(readServerConfigText(server(lines))).toMatchObject(expected);
  });
});

const mistakes: readonly [what: string, text: string, messages: readonly RegExp[]][] = [
  ['no trust domain', `server {\n data_dir = "d"\n}${PLUGINS}`, [/x\.conf:1:1: server\.trust_domain: is required/]],
  [
    'an empty data folder',
    `server {\n trust_domain = "a"\n data_dir = ""\n}${PLUGINS}`,
    [/:3:2: server\.data_dir: is required/],
  ],
  ['no server', PLUGINS, [/server: is required/]],
  ['no plugins', 'server {\n trust_domain = "a"\n data_dir = "d"\n}', [/plugins: is required/]],
  [
    'an unknown key',
    server('bind_prot = 1'),
    [/:4:1: server\.bind_prot: is not a known key, did you mean "bind_port"\?/],
  ],
  ['an unknown section', `${server()}\nsrever {}`, [/srever: is not a known key, did you mean "server"\?/]],
  [
    'an unknown key without neighbour',
    server('ratelimit { zzzzzz = 1 }'),
    [/server\.ratelimit\.zzzzzz: is not a known key: known are attestation, signing/],
  ],
  [
    'a bad trust domain',
    server().replace('example.org', 'Example.org'),
    [/:2:2: server\.trust_domain: trust domain "Example.org" has "E"/],
  ],
  ['a bad port', server('bind_port = 70000'), [/bind_port: must be a port, 1 to 65535/]],
  ['a port in words', server('bind_port = "http"'), [/bind_port: must be a port, 1 to 65535/]],
  ['a bad duration', server('ca_ttl = "24"'), [/ca_ttl: must be a number and a unit, such as "5m"/]],
  ['a negative duration', server('ca_ttl = "-24h"'), [/ca_ttl: must be a number and a unit/]],
  ['a bad boolean', server('audit_log_enabled = "yes"'), [/audit_log_enabled: must be true or false/]],
  [
    'a bad key type',
    server('ca_key_type = "ed25519"'),
    [/ca_key_type: must be one of "ec-p256", "ec-p384", "rsa-2048", "rsa-4096"/],
  ],
  ['a bad log level', server('log_level = "loud"'), [/log_level: must be one of "panic", "fatal"/]],
  ['a text for a list', server('admin_ids = "spiffe://a/b"'), [/admin_ids: must be a list/]],
  [
    'a bad ID in a list',
    server('admin_ids = ["spiffe://a/b", "x"]'),
    [/server\.admin_ids\[1\]: SPIFFE ID "x" does not start/],
  ],
  ['a value for a block', server('ratelimit = 1'), [/ratelimit: must be a block/]],
  [
    'a key given twice',
    server('bind_port = 1\nbind_port = 2'),
    [/:5:13: server\.bind_port: is given again, first on line 4/],
  ],
  [
    'a bad network',
    server('proxy_protocol_trusted_cidrs = ["10.0.0.0/33"]'),
    [/cidrs\[0\]: must be a network in CIDR/],
  ],
  [
    'a socket path that is too long',
    server(`socket_path = "/${'a'.repeat(107)}"`),
    [/socket_path: the path of a socket has 107 bytes at most/],
  ],
  [
    'a Windows pipe',
    server('experimental { named_pipe_name = "x" }'),
    [/named_pipe_name: named pipes are for Windows: use server\.socket_path/],
  ],
  [
    'Rego',
    server('experimental { auth_opa_policy_engine { local { rego_path = "x" } } }'),
    [/auth_opa_policy_engine: Rego policies are not supported/],
  ],
  [
    'both names of the event timeout',
    server('experimental { event_timeout = "1m", sql_transaction_timeout = "1m" }'),
    [/experimental: event_timeout and sql_transaction_timeout are both set/],
  ],
  [
    'an unknown feature flag',
    server('experimental { feature_flags = ["x"] }'),
    [/feature_flags\[0\]: must be one of "wit-svid"/],
  ],
  [
    'federation over HTTP',
    server(
      'federation { federates_with "a.b" { bundle_endpoint_url = "http://a.b", bundle_endpoint_profile "https_web" {} } }',
    ),
    [/federates_with\["a\.b"\]\.bundle_endpoint_url: must be a URL that starts with https/],
  ],
  [
    'federation without profile',
    server('federation { federates_with "a.b" { bundle_endpoint_url = "https://a.b" } }'),
    [/federates_with\["a\.b"\]\.bundle_endpoint_profile: is required/],
  ],
  [
    'federation with a bad trust domain',
    server(
      'federation { federates_with "A" { bundle_endpoint_url = "https://a.b", bundle_endpoint_profile "https_web" {} } }',
    ),
    [/federates_with\.A: trust domain "A"/],
  ],
  [
    'a bundle endpoint with an unknown profile',
    server('federation { bundle_endpoint { port = 1, profile "https" {} } }'),
    [/profile\.https: is not a known key/, /profile: must be exactly one of/],
  ],
  [
    'https_web without a certificate',
    server('federation { bundle_endpoint { port = 1, profile "https_web" {} } }'),
    [/https_web: needs a block "acme" or "serving_cert_file"/],
  ],
  ['Prometheus without port', `${server()}\ntelemetry { Prometheus {} }`, [/telemetry\.Prometheus\.port: is required/]],
  ['no HCL', 'server {', [/x\.conf:1:8: "\{" has no closing brace/]],
  [
    'many mistakes, all of them, in the order of the file',
    `server {\n trust_domain = "A"\n ca_ttl = 5\n colour = "red"\n}\nplugins {\n KeyManagr "memory" {}\n DataStore "sql" {\n plugin_data { database_type = "mysql" }\n }\n}\nhealth_checks { bind_port = 99999 }`,
    [
      /^.*x\.conf:1:1: server\.data_dir: is required$/,
      /^.*:2:2: server\.trust_domain: trust domain "A"/,
      /^.*:3:2: server\.ca_ttl: must be a number and a unit/,
      /^.*:4:2: server\.colour: is not a known key/,
      /^.*:6:9: plugins: plugin type "KeyManager" constraint not satisfied: expected exactly 1 but got 0$/,
      /^.*:7:2: plugins\.KeyManagr\.memory: "KeyManagr" is not a type of plugin that the server knows: did you mean "KeyManager"\?$/,
      /^.*:9:14: plugins\.DataStore\.sql\.plugin_data\.connection_string: is required$/,
      /^.*:9:16: plugins\.DataStore\.sql\.plugin_data\.database_type: mysql is not supported: use "sqlite3"$/,
      /^.*:12:17: health_checks\.bind_port: must be a port/,
    ],
  ],
];
test.each(mistakes)('%s', (_what, text, messages) => {
  let message = '';
  try {
    readServerConfigText(text);
  } catch (error) {
    expect(error).toMatchObject({ code: 'CONFIG_INVALID' });
    message = error instanceof Error ? error.message : '';
  }
  const lines = message.split('\n');
  expect(lines).toEqual(messages.map((pattern) => expect.stringMatching(pattern)));
});

describe('command line', () => {
  test('goes before the file (S001)', () => {
    const overrides = {
      bindAddress: '::1',
      bindPort: 1,
      dataDir: '/data',
      logFile: 'l',
      logFormat: 'json',
      logLevel: 'debug',
      logSourceLocation: true,
      socketPath: '/s',
      trustDomain: 'other.org',
    };
    expect(readServerConfigText(server('bind_port = 2\nlog_level = "error"'), { overrides })).toMatchObject({
      bindAddress: '::1',
      bindPort: 1,
      dataDir: '/data',
      log: { file: 'l', format: 'json', level: 'debug', sourceLocation: true },
      socketPath: '/s',
      trustDomain: 'other.org',
    });
  });

  test('leaves the file alone where a flag is empty or not given', () => {
    const overrides = { bindPort: undefined, dataDir: '', logSourceLocation: false };
    const config = readServerConfigText(server('log_source_location = true'), { overrides });
    expect(config).toMatchObject({ dataDir: 'd', log: { sourceLocation: true } });
  });

  test('a mistake names the flag', () => {
    expect(() => readServerConfigText(server(), { overrides: { logLevel: 'loud' } })).toThrow(
      expect.objectContaining({ message: expect.stringMatching(/^command line: -logLevel: must be one of/) }),
    );
  });
});

test('environment variables are expanded only where asked for', () => {
  const text = server('jwt_issuer = "$ISSUER"\nlog_file = "$UNSET"');
  const env = { ISSUER: 'https://x' };
  expect(readServerConfigText(text, { expandEnv: true, env })).toMatchObject({
    jwtIssuer: 'https://x',
    log: { file: undefined },
  });
  expect(readServerConfigText(text, { env })).toMatchObject({ jwtIssuer: '$ISSUER', log: { file: '$UNSET' } });
});

test('a file that is not there is named, with what to do', () => {
  expect(() => readServerConfig({ path: '/nowhere/server.conf' })).toThrow(
    expect.objectContaining({
      code: 'FILE_UNUSABLE',
      message: '/nowhere/server.conf does not exist: use -config to name the file',
    }),
  );
});

test.each([
  [
    'ca_ttl = "5h"',
    [
      'default_x509_svid_ttl is too high for a ca_ttl of 5h, SVIDs may get shorter lives: set default_x509_svid_ttl to 50m or less, or ca_ttl to 6h or more',
    ],
  ],
  ['ca_ttl = "6h"', []],
  [
    'agent_ttl = "5h"',
    [
      'agent_ttl is too high for a ca_ttl of 24h, SVIDs may get shorter lives: set agent_ttl to 4h or less, or ca_ttl to 30h or more',
    ],
  ],
  [
    'ca_ttl = "8760h"\nagent_ttl = "200h"',
    ['agent_ttl is too high for a ca_ttl of 8760h, SVIDs may get shorter lives: set agent_ttl to 168h or less'],
  ],
  ['ca_subject {}', ['ca_subject is empty: the default subject is used']],
  [
    'experimental { sql_transaction_timeout = "1m" }',
    ['experimental.sql_transaction_timeout is deprecated: use experimental.event_timeout'],
  ],
  [
    'federation { bundle_endpoint { port = 1 } }',
    ['federation.bundle_endpoint has no profile: "https_spiffe" is taken, write it down'],
  ],
])('%s warns', (lines, warnings) => {
  expect(readServerConfigText(server(lines)).warnings).toEqual(warnings);
});
