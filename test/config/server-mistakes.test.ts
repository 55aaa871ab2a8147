import { expect, test } from 'vitest';
import { readServerConfigText } from './read-text.ts';
import { PLUGINS, serverText as server } from './server-text.ts';

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
  ['the name of what every object has', `${server()}\nconstructor {}`, [/constructor: is not a known key/]],
  ['the name of the prototype', `${server()}\n__proto__ {}`, [/__proto__: is not a known key/]],
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
  ['Traces without endpoint', `${server()}\ntelemetry { Traces {} }`, [/telemetry\.Traces\.endpoint: is required/]],
  [
    'Traces that go nowhere',
    `${server()}\ntelemetry { Traces { endpoint = "localhost:4318" protocol = "thrift" sampling_ratio = 1.5 } }`,
    [
      /Traces\.endpoint: must be a URL of an OTLP receiver/,
      /Traces\.protocol: must be one of "http\/protobuf", "grpc"/,
      /Traces\.sampling_ratio: must be 0 to 1/,
    ],
  ],
  [
    'Traces in clear with an authority, by gRPC with a path',
    `${server()}\ntelemetry { Traces { endpoint = "http://localhost:4317/v1" protocol = "grpc" ca_file = "a" } }`,
    [/Traces\.endpoint: has a path, which gRPC has no use for/, /Traces\.ca_file: is for an "https" endpoint/],
  ],
  ['Prometheus without port', `${server()}\ntelemetry { Prometheus {} }`, [/telemetry\.Prometheus\.port: is required/]],
  [
    'Prometheus with a certificate of files and its own',
    `${server()}\ntelemetry { Prometheus { port = 1 tls { use_spire_svid = true cert_file = "c" client_ca_file = "a" } } }`,
    [
      /tls: has "use_spire_svid = true", with which "cert_file" and "key_file" are not used/,
      /tls: has .*known by "authorized_spiffe_ids"/,
    ],
  ],
  [
    'Prometheus with half a certificate, and clients known in two ways',
    `${server()}\ntelemetry { Prometheus { port = 1 tls { cert_file = "c" client_ca_file = "a" authorized_spiffe_ids = ["spiffe://a/b"] } } }`,
    [/tls: needs "cert_file" and "key_file", or/, /tls: has "client_ca_file" and "authorized_spiffe_ids"/],
  ],
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
      /^.*:9:16: plugins\.DataStore\.sql\.plugin_data\.database_type: mysql is not supported: use "postgres" or "sqlite3"$/,
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
