import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { naturalValue } from '../../src/config/decode.ts';
import { parseHcl } from '../../src/config/hcl.ts';
import { readServerConfig } from '../../src/config/server-config.ts';
import { readServerConfigText } from './read-text.ts';
import { serverText as server } from './server-text.ts';

const path = join(import.meta.dirname, 'fixtures', 'server.conf');
const fixture = readFileSync(path, 'utf8');

test('every key of a full file arrives (C001 to C071, C137 to C159)', () => {
  expect(readServerConfig({ path })).toEqual({
    trustDomain: 'example.org',
    dataDir: './.data',
    bindAddress: '127.0.0.1',
    bindPort: 8081,
    bindReusePort: true,
    socketPath: '/run/spire/private/api.sock',
    adminIds: ['spiffe://example.org/ops/admin'],
    auditLogEnabled: true,
    caKeyType: 'ec-p384',
    jwtKeyType: 'rsa-4096',
    caSigning: 'key_manager',
    caIntermediateTtlSeconds: 28_800,
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
    auditLogSkip: [],
    roles: [],
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
            domainNames: ['example.org'],
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
      traces: {
        endpoint: 'https://collector:4317',
        protocol: 'grpc',
        samplingRatio: 0.25,
        caFile: '/etc/collector.pem',
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
    telemetry: {
      inMemory: false,
      prometheus: undefined,
      traces: undefined,
      enableHostnameLabel: true,
      enableTrustDomainLabel: false,
    },
    warnings: [],
  });
});

describe('defaults that follow other keys', () => {
  test.each([
    ['ca_key_type = "RSA-2048"', { caKeyType: 'rsa-2048', jwtKeyType: 'rsa-2048' }],
    ['default_x509_svid_ttl = "30m"', { agentTtlSeconds: 1800 }],
    ['jwt_key_type = ""\nbind_port = 0\nlog_level = ""', { jwtKeyType: 'ec-p256', bindPort: 8081 }],
    ['ca_signing = "intermediate"', { caSigning: 'intermediate', caIntermediateTtlSeconds: 28_800 }],
    ['ca_signing = "intermediate"\nca_intermediate_ttl = "2h"', { caIntermediateTtlSeconds: 7200 }],
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
  ['ca_signing = "intermediate"\nca_intermediate_ttl = "2h"', []],
  [
    'ca_signing = "intermediate"\nca_intermediate_ttl = "1h"\nagent_ttl = "10m"',
    [
      'default_x509_svid_ttl is too high for a ca_intermediate_ttl of 1h, SVIDs may get shorter lives: set default_x509_svid_ttl to 30m or less, or ca_intermediate_ttl to 2h or more',
    ],
  ],
  ['ca_intermediate_ttl = "4h"', ['ca_intermediate_ttl has no effect without ca_signing = "intermediate"']],
])('%s warns', (lines, warnings) => {
  expect(readServerConfigText(server(lines)).warnings).toEqual(warnings);
});
