import { describe, expect, test } from 'vitest';
import { formatKind, parseKind } from '../../src/cli/plugin-kind.ts';
import { PLUGIN_TYPES } from '../../src/rpc/go-plugin.ts';
import { defectivePlugin } from '../authoring/conformance/defective-plugin.ts';
import { builtPlugin } from '../harness/built-programs.ts';
import { runCli } from './run-cli.ts';

const MEMORY = [process.execPath, builtPlugin('agent', 'memory')];
const words = ({ command, args }: ReturnType<typeof defectivePlugin>) => [command, ...args];

describe('kinds', () => {
  test('are written in kebab case, and read again', () => {
    expect(PLUGIN_TYPES.map(formatKind)).toEqual([
      'key-manager',
      'node-attestor',
      'upstream-authority',
      'notifier',
      'bundle-publisher',
      'credential-composer',
      'svid-store',
      'workload-attestor',
    ]);
    expect(PLUGIN_TYPES.map((type) => parseKind(formatKind(type)))).toEqual(PLUGIN_TYPES.map((type) => ({ type })));
  });

  test('may have their side before them', () => {
    expect(parseKind('agent-node-attestor')).toEqual({ type: 'NodeAttestor', side: 'agent' });
    expect(parseKind('server-key-manager')).toEqual({ type: 'KeyManager', side: 'server' });
  });
});

describe('plugin test', () => {
  test('prints a line a rule, finds the kind by itself, and exits with 0', async () => {
    const rules = ['-rule', 'start.handshake', '-rule', 'key-manager.get', '-rule', 'start.multiplex'];
    const { code, stdout, stderr } = await runCli(['plugin', 'test', ...rules, ...MEMORY]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout.split('\n')).toEqual([
      expect.stringMatching(/^PASS {2}start\.handshake +writes a handshake .* \(§2\)$/),
      expect.stringMatching(/^PASS {2}start\.multiplex +answers true or false .* \(§2\): it says false/),
      expect.stringMatching(/^PASS {2}key-manager\.get +answers the same key .* \(§8\.1\)$/),
      '3 rules: 3 passed, 0 failed, 0 warnings, 0 skipped',
      '',
    ]);
  });

  test('says what was expected and what came, and exits with 1', async () => {
    const args = [
      '-kind',
      'notifier',
      '-side',
      'server',
      '-rule',
      'rpc.health',
      ...words(defectivePlugin('notifier', 'sick')),
    ];
    const { code, stdout, stderr } = await runCli(['plugin', 'test', ...args]);
    expect(stdout).toMatch(/^FAIL {2}rpc\.health .*: expected SERVING \(1\), came 2\n1 rule: 0 passed, 1 failed/);
    expect({ code, stderr }).toEqual({ code: 1, stderr: 'Error: the plugin fails 1 rule\n' });
  });

  test('a warning is no failure', async () => {
    const args = ['-rule', 'end.shutdown', ...words(defectivePlugin('notifier', 'ends-with-error'))];
    const { code, stdout } = await runCli(['plugin', 'test', ...args]);
    expect(stdout).toMatch(/^WARN {2}end\.shutdown .*\n1 rule: 0 passed, 0 failed, 1 warning, 0 skipped\n$/);
    expect(code).toBe(0);
  });

  test('prints JSON', async () => {
    const { code, stdout } = await runCli(['plugin', 'test', '-output', 'json', '-rule', 'rpc.health', ...MEMORY]);
    expect(JSON.parse(stdout)).toEqual({
      command: MEMORY[0],
      args: [MEMORY[1]],
      kind: { side: 'agent', type: 'KeyManager' },
      counts: { PASS: 1, FAIL: 0, WARN: 0, SKIP: 0 },
      results: [
        {
          id: 'rpc.health',
          title: expect.any(String),
          source: '§4',
          level: 'must',
          verdict: 'PASS',
          milliseconds: expect.any(Number),
        },
      ],
    });
    expect(code).toBe(0);
  });

  test('tries both halves of a node attestor together', async () => {
    const [peer = '', ...peerArgs] = words(defectivePlugin('agent-node-attestor'));
    const args = [
      ...['-kind', 'server-node-attestor', '-name', 'conformance', '-rule', 'pair.verdict', '-peer', peer],
      ...peerArgs.flatMap((arg) => ['-peerArg', arg]),
      ...words(defectivePlugin('server-node-attestor')),
    ];
    const { code, stdout } = await runCli(['plugin', 'test', ...args]);
    expect(stdout).toMatch(/^PASS {2}pair\.verdict .*: spiffe:\/\/example\.org\/spire\/agent\/conformance\/one, /);
    expect(code).toBe(0);
  });

  test.each([
    ['no plugin', [], /give the path of the plugin's executable/],
    ['a kind that there is not', ['-kind', 'keymanager', ...MEMORY], /-kind: "keymanager" is none of key-manager, /],
    ['a side that there is not', ['-side', 'client', ...MEMORY], /-side: "client" is neither server nor agent/],
    ['a kind that it is not', ['-kind', 'notifier', ...MEMORY], /the plugin is KeyManager of the agent: say by -kind/],
    ['a rule that there is not', ['-rule', 'x', ...MEMORY], /"x" is no rule for a KeyManager/],
    ['arguments of no other half', ['-peerArg', 'x', ...MEMORY], /of the plugin that -peer names: give it too/],
    ['another half of a key manager', ['-peer', '/bin/true', ...MEMORY], /a KeyManager has no other half/],
    [
      'a configuration that is not there',
      ['-config', '/nowhere', ...MEMORY],
      /cannot read plugin_data_file "\/nowhere"/,
    ],
    ['no executable', ['/nowhere'], /cannot run "\/nowhere"/],
  ])('refuses %s', async (_what, args, message) => {
    const { code, stderr } = await runCli(['plugin', 'test', ...args]);
    expect(stderr).toMatch(message);
    expect(code).toBe(1);
  });
});
