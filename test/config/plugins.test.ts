import { describe, expect, test } from 'vitest';
import { parseConfig } from '../../src/config/parse-config.ts';
import { type PluginSide, requirePluginConstraints } from '../../src/config/plugin-constraints.ts';
import { type PluginConfig, readPlugins } from '../../src/config/plugins.ts';
import { formatProblem } from '../../src/config/problem.ts';

const read = (text: string) => readPlugins([parseConfig(text, 'x')], 'x');
const namesOf = (text: string) => read(text).blocks.map(({ plugin }) => `${plugin.type} ${plugin.name}`);

describe('shapes of the section', () => {
  test.each([
    ['labels', 'A "x" { plugin_data { k = 1 } }\nB "y" { }\nA "z" {}'],
    ['labels in quotes', '"A" "x" { plugin_data { k = 1 } }\n"B" "y" {}\n"A" "z" {}'],
    ['blocks in blocks', 'A { x { plugin_data { k = 1 } } }\nB { y {} }\nA { z {} }'],
    ['labels down to plugin_data', 'A "x" "plugin_data" { k = 1 }\nB "y" {}\nA "z" {}'],
    ['JSON lists', '{"A": [{"x": {"plugin_data": {"k": 1}}}], "B": {"y": {}}, "A": [{"z": {}}]}'],
    ['JSON lists of blocks', '{"A": [{"x": [{"plugin_data": [{"k": 1}]}]}], "B": [{"y": [{}]}], "A": {"z": {}}}'],
  ])('%s, in the order of the file', (_what, text) => {
    expect(namesOf(text)).toEqual(['A x', 'B y', 'A z']);
    expect(read(text).blocks[0]?.plugin.data).toEqual({ text: 'k = 1\n' });
  });
});

const mistakes: readonly [what: string, text: string, message: RegExp][] = [
  [
    'data twice',
    'A "x" { plugin_data { a = 1 }, plugin_data_file = "f" }',
    /^x:1:7: plugins\.A\.x: only one of plugin_data and plugin_data_file/,
  ],
  ['a name twice', 'A "x" {}\nA "x" {}', /^x:2:1: plugins\.A\.x: is declared more than once, first on line 1/],
  ['a bad checksum', 'A "x" { plugin_checksum = "ab" }', /plugin_checksum: must be a SHA-256 digest/],
  ['a time to attest for another kind', 'A "x" { attest_timeout = "5s" }', /attest_timeout: is for a WorkloadAttestor/],
  ['one without end', 'WorkloadAttestor "x" { attest_timeout = "1h" }', /must be 100ms at least and 5m at most/],
  ['an unknown key', 'A "x" { plugin_comand = "y" }', /plugin_comand: is not a known key, did you mean "plugin_cmd"/],
  ['arguments that are no list', 'A "x" { plugin_args = "y" }', /plugin_args: must be a list/],
  ['data that is no block', 'A "x" { plugin_data = "y" }', /plugin_data: must be a block/],
  ['a socket that is not absolute', 'A "x" { plugin_socket = "p.sock" }', /plugin_socket: must be the absolute path/],
  ['a line that is no handshake', 'A "x" { plugin_attach = "/p.sock" }', /plugin_attach: must be the handshake line/],
  [
    'a handshake over TCP',
    'A "x" { plugin_attach = "1|1|tcp|127.0.0.1:1234|grpc|" }',
    /plugin_attach: must be the handshake line/,
  ],
  [
    'a handshake with a certificate',
    `A "x" { plugin_attach = "1|1|unix|/p.sock|grpc|${'MIIB'.repeat(20)}" }`,
    /plugin_attach: must be the handshake line of a plugin without TLS/,
  ],
  [
    'two ways to attach',
    'A "x" { plugin_socket = "/p", plugin_attach = "1|1|unix|/p|grpc|" }',
    /only one of plugin_socket and plugin_attach/,
  ],
  ...['plugin_cmd = "/p"', 'plugin_args = ["a"]', `plugin_checksum = "${'0'.repeat(64)}"`, 'auto_mtls = true'].map(
    (key): [string, string, RegExp] => [
      `${key.split(' ')[0]} of a plugin that runs already`,
      `A "x" { plugin_socket = "/p", ${key} }`,
      new RegExp(`${key.split(' ')[0]} is for a plugin that the program starts, not for one that runs already`),
    ],
  ),
  ['a body that is no block', 'A { x = 1 }', /plugins\.A\.x: must be a block/],
];
test.each(mistakes)('refuses %s', (_what, text, message) => {
  expect(read(text).problems.map(formatProblem)).toEqual([expect.stringMatching(message)]);
});

test.each([
  ['plugin_socket = "/run/p.sock"', '1|1|unix|/run/p.sock|grpc|'],
  ['plugin_attach = "1|1|unix|/run/p.sock|grpc|"', '1|1|unix|/run/p.sock|grpc|'],
  ['plugin_attach = "1|1|unix|/run/p.sock|grpc||false"', '1|1|unix|/run/p.sock|grpc||false'],
  ['plugin_socket = ""', undefined],
])('a plugin that runs already: %s', (key, attach) => {
  expect(read(`A "x" { ${key} }`).blocks[0]?.plugin.attach).toBe(attach);
});

const plugin = (type: string, name: string, change: Partial<PluginConfig> = {}): PluginConfig => ({
  type,
  name,
  args: [],
  data: undefined,
  enabled: true,
  autoMtls: false,
  ...change,
});
const leastServer = [plugin('DataStore', 'sql'), plugin('KeyManager', 'memory')];
const leastAgent = [plugin('NodeAttestor', 'tpm'), plugin('KeyManager', 'memory'), plugin('WorkloadAttestor', 'unix')];
const least: Readonly<Record<PluginSide, readonly PluginConfig[]>> = { server: leastServer, agent: leastAgent };
const command = '/bin/x';

describe('constraints (plugin-wire §8, §11)', () => {
  test.each<[PluginSide, readonly PluginConfig[]]>([
    ['server', leastServer],
    ['server', [...leastServer, plugin('NodeAttestor', 'join_token'), plugin('NodeAttestor', 'b', { command })]],
    ['server', [...leastServer, plugin('UpstreamAuthority', 'disk')]],
    [
      'server',
      [...leastServer, plugin('Notifier', 'a'), plugin('BundlePublisher', 'b'), plugin('CredentialComposer', 'c')],
    ],
    ['server', [...leastServer, plugin('KeyManager', 'disk', { enabled: false })]],
    ['agent', leastAgent],
    ['agent', [...leastAgent, plugin('WorkloadAttestor', 'b'), plugin('SVIDStore', 'a'), plugin('SVIDStore', 'b')]],
    ['agent', [...leastAgent, plugin('NodeAttestor', 'join_token', { enabled: false })]],
  ])('%s accepts %#', (side, plugins) => {
    expect(() => requirePluginConstraints(side, plugins)).not.toThrow();
  });

  const without = (side: PluginSide, type: string) => least[side].filter((p) => p.type !== type);
  const twice = (side: PluginSide, type: string) => [...least[side], plugin(type, 'one'), plugin(type, 'two')];
  const refused: readonly [PluginSide, readonly PluginConfig[], message: string][] = [
    [
      'server',
      without('server', 'DataStore'),
      'plugin type "DataStore" constraint not satisfied: expected exactly 1 but got 0',
    ],
    [
      'server',
      without('server', 'KeyManager'),
      'plugin type "KeyManager" constraint not satisfied: expected exactly 1 but got 0',
    ],
    [
      'server',
      twice('server', 'KeyManager'),
      'plugin type "KeyManager" constraint not satisfied: expected exactly 1 but got 3',
    ],
    [
      'server',
      twice('server', 'UpstreamAuthority'),
      'plugin type "UpstreamAuthority" constraint not satisfied: expected at most 1 but got 2',
    ],
    [
      'agent',
      without('agent', 'NodeAttestor'),
      'plugin type "NodeAttestor" constraint not satisfied: expected exactly 1 but got 0',
    ],
    [
      'agent',
      twice('agent', 'NodeAttestor'),
      'plugin type "NodeAttestor" constraint not satisfied: expected exactly 1 but got 3',
    ],
    [
      'agent',
      without('agent', 'KeyManager'),
      'plugin type "KeyManager" constraint not satisfied: expected exactly 1 but got 0',
    ],
    [
      'agent',
      without('agent', 'WorkloadAttestor'),
      'plugin type "WorkloadAttestor" constraint not satisfied: expected at least 1 but got 0',
    ],
    [
      'server',
      [...without('server', 'KeyManager'), plugin('KeyManager', 'disk', { enabled: false })],
      'plugin type "KeyManager" constraint not satisfied: expected exactly 1 but got 0',
    ],
    [
      'agent',
      [...leastAgent, plugin('DataStore', 'sql')],
      '"DataStore" is not a type of plugin that the agent knows: known are NodeAttestor, KeyManager, SVIDStore, WorkloadAttestor',
    ],
    [
      'server',
      [...leastServer, plugin('NodeAtestor', 'tpm')],
      '"NodeAtestor" is not a type of plugin that the server knows: did you mean "NodeAttestor"?',
    ],
    [
      'server',
      [plugin('DataStore', 'sql', { command }), plugin('KeyManager', 'memory')],
      'plugin_cmd cannot be used for a DataStore: it is built in and starts no process',
    ],
    [
      'server',
      [plugin('DataStore', 'mine'), plugin('KeyManager', 'memory')],
      'a DataStore is built in and its name is "sql", not "mine"',
    ],
    [
      'server',
      [...leastServer, plugin('NodeAttestor', 'join_token', { command })],
      'plugin_cmd cannot be used for NodeAttestor "join_token": it is built in and starts no process',
    ],
    [
      'agent',
      [plugin('NodeAttestor', 'join_token', { command }), ...leastAgent.slice(1)],
      'plugin_cmd cannot be used for NodeAttestor "join_token": it is built in and starts no process',
    ],
  ];
  test.each(refused)('%s refuses %#', (side, plugins, message) => {
    expect(() => requirePluginConstraints(side, plugins)).toThrow(
      expect.objectContaining({ code: 'CONFIG_INVALID', message }),
    );
  });
});
