import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readAgentConfig } from '../../src/config/agent-config.ts';
import { naturalValue } from '../../src/config/decode.ts';
import { parseHcl } from '../../src/config/hcl.ts';
import { createTemporaryFolder } from '../harness/temporary-folder.ts';
import { readAgentConfigText } from './read-text.ts';

const path = join(import.meta.dirname, 'fixtures', 'agent.conf');
const PLUGINS = `
plugins {
  NodeAttestor "join_token" {}
  KeyManager "memory" {}
  WorkloadAttestor "unix" {}
}`;
const REQUIRED = 'trust_domain = "example.org"\nserver_address = "s"\nserver_port = 1\n';
const agent = (lines: string, plugins = PLUGINS) => `agent {\n${REQUIRED}${lines}\n}\n${plugins}`;
const bootstrap = 'trust_bundle_path = "b"\n';

test('every key of a full file arrives (C072 to C136)', () => {
  expect(readAgentConfig({ path })).toMatchObject({
    trustDomain: 'example.org',
    dataDir: '/var/lib/spire/agent',
    serverAddress: 'spire.example.org',
    serverPort: 8081,
    socketPath: '/run/spire/public/api.sock',
    adminSocketPath: '/run/spire/admin/api.sock',
    trustBundleSource: { type: 'file', path: '/etc/spire/bundle.json', format: 'spiffe' },
    rebootstrapMode: 'auto',
    rebootstrapDelaySeconds: 300,
    joinToken: undefined,
    allowUnauthenticatedVerifiers: true,
    allowedForeignJwtClaims: ['role'],
    authorizedDelegates: ['spiffe://example.org/delegate'],
    availabilityTargetSeconds: 86_400,
    disableSdsApi: true,
    disableWorkloadApi: false,
    workloadX509SvidKeyType: 'rsa-2048',
    x509SvidCacheMaxSize: 70,
    jwtSvidCacheMaxSize: 50,
    log: { file: undefined, level: 'debug', format: 'text', sourceLocation: true },
    logSelectors: ['k8s:ns'],
    profiling: { enabled: true, port: 6061, dumpEverySeconds: 30, names: ['goroutine'] },
    sds: {
      defaultSvidName: 'svid',
      defaultBundleName: 'ROOT',
      defaultAllBundlesName: 'EVERY',
      disableSpiffeCertValidation: true,
    },
    experimental: {
      syncIntervalSeconds: 10,
      useSyncAuthorizedEntries: true,
      jwtSvidCacheHitTimeoutSeconds: 15,
      requirePqKem: true,
      featureFlags: ['wit-svid'],
      ratelimit: {
        fetchX509Svid: 1,
        fetchJwtSvid: 2,
        fetchX509Bundles: 3,
        fetchJwtBundles: 4,
        streamSecrets: 5,
        fetchSecrets: 6,
      },
      broker: {
        socketPath: '/run/spire/broker/api.sock',
        bindAddress: { host: '0.0.0.0', port: 8443 },
        brokers: [
          {
            id: 'spiffe://other.org/broker',
            allowedReferenceTypes: [
              { typeUrl: 'type.googleapis.com/spiffe.broker.WorkloadPIDReference', allowOverTcp: true },
            ],
          },
        ],
      },
    },
    plugins: [
      { type: 'NodeAttestor', name: 'tpm', data: { text: 'device = "/dev/tpmrm0"\n' } },
      { type: 'KeyManager', name: 'disk' },
      { type: 'WorkloadAttestor', name: 'unix' },
      { type: 'WorkloadAttestor', name: 'docker', enabled: false },
      { type: 'SVIDStore', name: 'files', command: '/usr/bin/svid-files' },
    ],
    warnings: [
      'experimental.use_sync_authorized_entries is deprecated: remove it',
      'feature flag "wit-svid" is experimental',
    ],
  });
});

test('the same file as JSON gives the same configuration', () => {
  const json = JSON.stringify(naturalValue(parseHcl(readFileSync(path, 'utf8'), 'fixture')));
  expect(readAgentConfigText(json)).toEqual(readAgentConfig({ path }));
});

test('what a file leaves out has the defaults of the inventory', () => {
  expect(readAgentConfigText(agent(bootstrap))).toMatchObject({
    dataDir: '.',
    socketPath: '/tmp/spire-agent/public/api.sock',
    adminSocketPath: undefined,
    rebootstrapMode: 'never',
    rebootstrapDelaySeconds: 600,
    availabilityTargetSeconds: undefined,
    workloadX509SvidKeyType: 'ec-p256',
    x509SvidCacheMaxSize: 1000,
    jwtSvidCacheMaxSize: 1000,
    sds: { defaultSvidName: 'default', defaultBundleName: 'ROOTCA', defaultAllBundlesName: 'ALL' },
    experimental: { syncIntervalSeconds: 5, useSyncAuthorizedEntries: true, broker: undefined },
    warnings: [],
  });
});

describe('trust bundle sources (B009)', () => {
  test.each([
    [bootstrap, { type: 'file', path: 'b', format: 'pem' }],
    ['trust_bundle_url = "https://x/b"', { type: 'url', url: 'https://x/b', format: 'pem' }],
    [
      'trust_bundle_url = "http://x/b"\ntrust_bundle_unix_socket = "/s"\ntrust_bundle_format = "spiffe"',
      { type: 'url', url: 'http://x/b', format: 'spiffe', unixSocket: '/s' },
    ],
    ['trust_bundle_spiffe_workload_api = "unix:///s"', { type: 'workload_api', address: 'unix:///s' }],
    [
      'trust_bundle_spiffe_workload_api = "tcp://127.0.0.1:80"',
      { type: 'workload_api', address: 'tcp://127.0.0.1:80' },
    ],
    ['trust_bundle_spiffe_workload_api = "tcp://[::1]:80"', { type: 'workload_api', address: 'tcp://[::1]:80' }],
    ['insecure_bootstrap = true', { type: 'insecure' }],
  ])('%s', (lines, source) => {
    expect(readAgentConfigText(agent(lines)).trustBundleSource).toEqual(source);
  });

  test.each([
    '10.0.0.1:80',
    '0.0.0.0:80',
    '128.0.0.1:80',
    '127.0.0.1.evil.test:80',
    '127.0.0.1:80@evil.test:80',
    '127.0.0.256:80',
    '127.0.0.1',
    '127.0.0.1:99999',
    '127.1:80',
    'localhost:80',
    '[::]:80',
    '[::ffff:10.0.0.1]:80',
    '[2001:db8::1]:80',
    'agent.example.org:80',
  ])('tcp://%s is refused: what comes from there is not encrypted', (address) => {
    const read = () => readAgentConfigText(agent(`trust_bundle_spiffe_workload_api = "tcp://${address}"`));
    expect(read).toThrow(/tcp:\/\/ is not encrypted and may name 127\.0\.0\.0\/8 or \[::1\] alone/);
  });
});

const mistakes: readonly [lines: string, messages: readonly RegExp[]][] = [
  [
    '',
    [/agent: one of trust_bundle_path, trust_bundle_url, trust_bundle_spiffe_workload_api must be configured unless/],
  ],
  [`${bootstrap}insecure_bootstrap = true`, [/only one of trust_bundle_path, insecure_bootstrap can be specified/]],
  [`${bootstrap}trust_bundle_url = "https://x"`, [/only one of trust_bundle_path, trust_bundle_url can be/]],
  [
    `${bootstrap}trust_bundle_spiffe_workload_api = "unix:///x"`,
    [/only one of trust_bundle_path, trust_bundle_spiffe_workload_api/],
  ],
  ['trust_bundle_url = "http://x"', [/trust_bundle_url must start with https/]],
  ['trust_bundle_url = "x"', [/trust_bundle_url is not a URL/]],
  ['trust_bundle_url = "https://x"\ntrust_bundle_unix_socket = "/s"', [/must start with http:\/\/ where/]],
  ['trust_bundle_url = "http://x?spire-a=1"\ntrust_bundle_unix_socket = "/s"', [/parameter spire-a/]],
  [`${bootstrap}trust_bundle_unix_socket = "/s"`, [/trust_bundle_unix_socket needs trust_bundle_url/]],
  ['trust_bundle_spiffe_workload_api = "/s"', [/must be an address such as/]],
  [`${bootstrap}trust_bundle_format = "der"`, [/trust_bundle_format: must be one of "pem", "spiffe"/]],
  [`${bootstrap}rebootstrap_mode = "often"`, [/rebootstrap_mode: must be one of "never", "auto", "always"/]],
  [
    'insecure_bootstrap = true\nrebootstrap_mode = "auto"',
    [/insecure_bootstrap cannot be used with a rebootstrap_mode/],
  ],
  [`${bootstrap}join_token = "a"\njoin_token_file = "b"`, [/only one of join_token and join_token_file/]],
  [
    `${bootstrap}join_token_file = "/nowhere/token"`,
    [/\/nowhere\/token does not exist: correct agent\.join_token_file/],
  ],
  [`${bootstrap}availability_target = "23h"`, [/availability_target: must be 24h at least/]],
  [`${bootstrap}x509_svid_cache_max_size = -1`, [/x509_svid_cache_max_size: must not be negative/]],
  [`${bootstrap}workload_x509_svid_key_type = "rsa-4096"`, [/must be one of "ec-p256", "ec-p384", "rsa-2048"/]],
  [
    `${bootstrap}authorized_delegates = ["spiffe://other.org/x"]`,
    [/:6:25: agent\.authorized_delegates\[0\]: spiffe:\/\/other\.org\/x is not a member/],
  ],
  [
    `${bootstrap}admin_socket_path = "/tmp/spire-agent/public/admin.sock"`,
    [/:6:1: agent\.admin_socket_path: .* put it into another folder/],
  ],
  [
    `${bootstrap}admin_socket_path = "/tmp/spire-agent/public/a/admin.sock"`,
    [/:6:1: agent\.admin_socket_path: .* put it into another folder/],
  ],
  [
    `${bootstrap}experimental { broker { socket_path = "/tmp/spire-agent/public/b.sock" } }`,
    [/:6:25: agent\.experimental\.broker\.socket_path: .* another folder/],
  ],
  [`${bootstrap}experimental { jwt_svid_cache_hit_timeout = "31s" }`, [/must be from 5s to 30s/]],
  [
    `${bootstrap}experimental { named_pipe_name = "x", admin_named_pipe_name = "y" }`,
    [/use agent\.socket_path/, /use agent\.admin_socket_path/],
  ],
  [`${bootstrap}experimental { ratelimit { fetch_x509_svid = -1 } }`, [/fetch_x509_svid: must not be negative/]],
  [
    `${bootstrap}experimental { broker { bind_address = "localhost" } }`,
    [/broker\.bind_address: "localhost" must be an address and a port/],
  ],
  [`${bootstrap}experimental { broker {} }`, [/experimental\.broker: needs "socket_path", "bind_address" or both/]],
  [
    `${bootstrap}experimental { broker { bind_address = "a:1", brokers = [{ id = "x", allowed_reference_types = [] }, { id = "spiffe://a/b" }] } }`,
    [
      /brokers\[0\]\.id: SPIFFE ID "x"/,
      /brokers\[0\]\.allowed_reference_types: must have 1 items at least/,
      /brokers\[1\]\.allowed_reference_types: is required/,
    ],
  ],
  [
    `${bootstrap}experimental { broker { bind_address = "a:1", brokers = [{ id = "spiffe://a/b", allowed_reference_types = [{ type_url = "*" }, { type_url = "x" }] }, { id = "spiffe://a/b", allowed_reference_types = [{ type_url = "*" }] }] } }`,
    [
      /brokers\[0\]\.allowed_reference_types: the type_url "\*"/,
      /brokers\[1\]\.id: names a broker that is listed before/,
    ],
  ],
];
test.each(mistakes)('refuses %s', (lines, messages) => {
  let message = '';
  try {
    readAgentConfigText(agent(lines));
  } catch (error) {
    message = error instanceof Error ? error.message : '';
  }
  expect(message.split('\n')).toEqual(messages.map((pattern) => expect.stringMatching(pattern)));
});

test('what is required is named all at once', () => {
  expect(() => readAgentConfigText(`agent {}${PLUGINS}`)).toThrow(
    expect.objectContaining({
      code: 'CONFIG_INVALID',
      message: expect.stringMatching(
        /^.*agent\.server_address: is required\n.*agent\.server_port: is required\n.*agent\.trust_domain: is required\n.*agent: one of trust_bundle_path.*$/,
      ),
    }),
  );
});

test.each([
  ['no section', PLUGINS, /agent: is required/],
  ['a section that is no block', `agent = 1${PLUGINS}`, /agent: must be a block/],
  ['the section of a server', `server {}${PLUGINS}`, /agent: is required\n.*server: is not a known key/],
])('refuses %s', (_what, text, message) => {
  expect(() => readAgentConfigText(text)).toThrow(
    expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.stringMatching(message) }),
  );
});

test('a join token is read from its file', async () => {
  await using folder = await createTemporaryFolder();
  await writeFile(folder.join('token'), ' abc\n');
  const lines = `${bootstrap}join_token_file = "${folder.join('token')}"`;
  expect(readAgentConfigText(agent(lines)).joinToken).toBe('abc');
  await writeFile(folder.join('token'), '\n');
  expect(() => readAgentConfigText(agent(lines))).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }));
});

test('the command line goes before the file (A001)', () => {
  const overrides = {
    allowUnauthenticatedVerifiers: true,
    dataDir: '/d',
    disableSdsApi: true,
    disableWorkloadApi: true,
    joinToken: 't',
    logFile: 'l',
    logFormat: 'json',
    logLevel: 'trace',
    logSourceLocation: true,
    rebootstrapDelay: '1m',
    rebootstrapMode: 'always',
    serverAddress: '[::1]',
    serverPort: 7,
    socketPath: '/s',
    trustBundle: '/b',
    trustBundleFormat: 'spiffe',
    trustDomain: 'other.org',
  };
  expect(readAgentConfigText(agent(''), { overrides })).toMatchObject({
    allowUnauthenticatedVerifiers: true,
    dataDir: '/d',
    disableSdsApi: true,
    disableWorkloadApi: true,
    joinToken: 't',
    log: { file: 'l', format: 'json', level: 'trace', sourceLocation: true },
    rebootstrapDelaySeconds: 60,
    rebootstrapMode: 'always',
    serverAddress: '::1',
    serverPort: 7,
    socketPath: '/s',
    trustBundleSource: { type: 'file', path: '/b', format: 'spiffe' },
    trustDomain: 'other.org',
  });
  expect(readAgentConfigText(agent(''), { overrides: { insecureBootstrap: true } }).trustBundleSource).toEqual({
    type: 'insecure',
  });
  expect(
    readAgentConfigText(agent(''), { overrides: { trustBundleUrl: 'https://x' } }).trustBundleSource,
  ).toMatchObject({ type: 'url' });
});
