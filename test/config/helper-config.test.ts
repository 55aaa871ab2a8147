import { writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readHelperConfig } from '../../src/config/helper-config.ts';
import { splitArguments } from '../../src/config/split-arguments.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../harness/temporary-folder.ts';

let folder: TemporaryFolder;
beforeAll(async () => {
  folder = await createTemporaryFolder();
});
afterAll(() => folder[Symbol.asyncDispose]());

async function read(text: string, env = {}, isDaemon?: boolean) {
  const path = folder.join('helper.conf');
  await writeFile(path, text);
  return readHelperConfig({ path, env, isDaemon });
}

const X509 = 'svid_file_name = "svid.pem"\nsvid_key_file_name = "key.pem"\nsvid_bundle_file_name = "bundle.pem"\n';
const SMALL = `cert_dir = "certs"\n${X509}`;

/** Every key of spiffe-helper's documentation. */
const FULL = `
agent_address = "/run/agent.sock"
cmd = "ghostunnel"
cmd_args = "server --listen localhost:8002 --name \\"two words\\""
pid_file_name = "/run/x.pid"
cert_dir = "/certs"
daemon_mode = true
add_intermediates_to_bundle = true
renew_signal = "SIGUSR1"
svid_file_name = "svid.pem"
svid_key_file_name = "svid_key.pem"
svid_bundle_file_name = "svid_bundle.pem"
jwt_svids = [
  { jwt_audience = "a", jwt_extra_audiences = ["b", "c"], jwt_svid_file_name = "a.token" },
  { jwt_audience = "d", jwt_svid_file_name = "d.token" }
]
jwt_bundle_file_name = "bundle.json"
include_federated_domains = true
cert_file_mode = 0444
key_file_mode = 0400
jwt_bundle_file_mode = 0440
jwt_svid_file_mode = 0404
omit_expired = true
hint = "db"
health_checks {
  listener_enabled = true
  bind_port = 9090
  liveness_path = "/healthy"
  readiness_path = "/well"
}
`;

test("every key of spiffe-helper's file arrives", async () => {
  expect(await read(FULL)).toEqual({
    log: { file: undefined, level: 'info', format: 'text', sourceLocation: false },
    warnings: [],
    agentSocket: '/run/agent.sock',
    isDaemon: true,
    hint: 'db',
    certDir: '/certs',
    owner: undefined,
    layout: 'files',
    x509: {
      svid: { name: 'svid.pem', mode: 0o444 },
      key: { name: 'svid_key.pem', mode: 0o400 },
      bundle: { name: 'svid_bundle.pem', mode: 0o444 },
      intermediatesInBundle: true,
      withFederated: true,
      omitExpired: true,
    },
    jwtSvids: [
      { name: 'a.token', mode: 0o404, audience: ['a', 'b', 'c'] },
      { name: 'd.token', mode: 0o404, audience: ['d'] },
    ],
    jwtBundles: { name: 'bundle.json', mode: 0o440 },
    jwks: undefined,
    command: { program: 'ghostunnel', args: ['server', '--listen', 'localhost:8002', '--name', 'two words'] },
    renewSignal: 'SIGUSR1',
    pidFile: '/run/x.pid',
    reload: undefined,
    healthChecks: {
      listenerEnabled: true,
      bindAddress: '0.0.0.0',
      bindPort: 9090,
      livePath: '/healthy',
      readyPath: '/well',
    },
  });
});

test("what is not given is spiffe-helper's default", async () => {
  expect(await read(SMALL)).toMatchObject({
    agentSocket: '/tmp/spire-agent/public/api.sock',
    isDaemon: true,
    x509: { svid: { mode: 0o644 }, key: { mode: 0o600 }, bundle: { mode: 0o644 }, withFederated: false },
    healthChecks: { listenerEnabled: false, bindPort: 8081, livePath: '/live', readyPath: '/ready' },
  });
});

test.each([
  ['a path', '/run/a.sock', '/run/a.sock'],
  ['a URI with an authority', 'unix:///run/a.sock', '/run/a.sock'],
  ['a URI without one', 'unix:/run/a.sock', '/run/a.sock'],
])('the variable may hold %s', async (_what, variable, path) => {
  expect((await read(SMALL, { SPIFFE_ENDPOINT_SOCKET: variable })).agentSocket).toBe(path);
});

test('the file goes before the variable, and the command line before the file', async () => {
  const text = `agent_address = "unix:///run/b.sock"\n${SMALL}`;
  expect((await read(text, { SPIFFE_ENDPOINT_SOCKET: '/run/a.sock' }, false)).agentSocket).toBe('/run/b.sock');
  expect((await read(text, {}, false)).isDaemon).toBe(false);
});

test('a word is said where nothing is told as there is no daemon', async () => {
  expect((await read(`${SMALL}cmd = "x"`, {}, false)).warnings).toEqual([
    'nothing is run, signalled or reloaded, as daemon_mode is false',
  ]);
});

describe('mistakes', () => {
  test.each([
    [
      'an unknown key',
      `${SMALL}svid_filename = "x"`,
      ':5:1: svid_filename: is not a known key, did you mean "svid_file_name"?',
    ],
    [
      'an old spelling',
      `${SMALL}agentAddress = "x"`,
      'agentAddress: is not a known key, did you mean "agent_address"?',
    ],
    ['an unknown key of a JWT', `${SMALL}jwt_svids = [{ jwt_audiance = "x" }]`, 'did you mean "jwt_audience"?'],
    [
      'an unknown key of the health checks',
      `${SMALL}health_checks { live_path = "x" }`,
      'did you mean "liveness_path"?',
    ],
    ['no folder', X509, 'cert_dir: is required'],
    ['no file', 'cert_dir = "c"', 'no file is named: give svid_file_name'],
    [
      'two of three files',
      'cert_dir = "c"\nsvid_file_name = "a"\nsvid_key_file_name = "b"',
      'svid_bundle_file_name: is required',
    ],
    ['a file elsewhere', SMALL.replace('key.pem', '../key.pem'), 'must be the name of a file in cert_dir'],
    [
      'one name twice',
      SMALL.replace('key.pem', 'bundle.pem'),
      'names the same file as svid_key_file_name: "bundle.pem"',
    ],
    [
      'a token over the key',
      `${SMALL}jwt_svids = [{ jwt_audience = "a", jwt_svid_file_name = "key.pem" }]`,
      'names the same file',
    ],
    [
      'a token without a name',
      `${SMALL}jwt_svids = [{ jwt_audience = "a" }]`,
      'jwt_svids[0].jwt_svid_file_name: is required',
    ],
    ['a mode of too many bits', `${SMALL}key_file_mode = 01777`, 'key_file_mode: must be an octal file mode'],
    ['a signal that nobody knows', `${SMALL}renew_signal = "SIGHUB"`, 'did you mean "SIGHUP"?'],
    ['a process without a signal', `${SMALL}pid_file_name = "p"`, 'pid_file_name: needs renew_signal'],
    ['a quote that does not end', `${SMALL}cmd_args = "a \\"b"`, 'cmd_args: has a double quote that does not end'],
    [
      'a server that is not known',
      `${SMALL}reload = "apache"`,
      'must be one of "postgresql", "mariadb", "nginx", "haproxy"',
    ],
    ['a reload without a process', `${SMALL}reload = "nginx"`, 'is required by reload = "nginx"'],
    [
      'a reload with a signal',
      `${SMALL}reload = "nginx"\npid_file_name = "p"\nrenew_signal = "SIGHUP"`,
      'is chosen by reload',
    ],
    [
      'a socket of another server',
      `${SMALL}reload = "nginx"\npid_file_name = "p"\nreload_socket = "s"`,
      'is for reload = "mariadb" alone',
    ],
    ['an address of TCP', `${SMALL}agent_address = "tcp://127.0.0.1:1"`, 'must be the path of a Unix socket'],
    ['one path for both', `${SMALL}health_checks { liveness_path = "/ready" }`, 'must differ from liveness_path'],
  ])('%s', async (_what, text, message) => {
    await expect(read(text)).rejects.toThrow(
      expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.stringContaining(message) }),
    );
  });

  test('an address of TCP in the variable', async () => {
    await expect(read(SMALL, { SPIFFE_ENDPOINT_SOCKET: 'tcp://127.0.0.1:1' })).rejects.toThrow(
      'SPIFFE_ENDPOINT_SOCKET',
    );
  });
});

test('arguments are one text or a list of words', async () => {
  const words = async (args: string) => (await read(`${SMALL}cmd = "x"\ncmd_args = ${args}`)).command?.args;
  expect(await words('["a b", "$HOME", ""]')).toEqual(['a b', '$HOME', '']);
  expect(await words('["only one"]')).toEqual(['only one']);
  expect(await words('"a  b"')).toEqual(['a', 'b']);
});

test.each([
  ['', []],
  ['  ', []],
  ['a', ['a']],
  ['a "b c" d', ['a', 'b c', 'd']],
  ['--name="b c"', ['--name=b c']],
  ['"" a', ['', 'a']],
  ['"say ""no"""', ['say "no"']],
  ["it's $HOME; `x`", ["it's", '$HOME;', '`x`']],
  ['"a', undefined],
])('%j is split into %j', (text, words) => {
  expect(splitArguments(text)).toEqual(words);
});
