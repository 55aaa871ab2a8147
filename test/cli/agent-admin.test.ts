import { mkdir, stat } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createTemporaryFolder, type TemporaryFolder } from '../harness/temporary-folder.ts';
import { AgentProcess } from './agent-process.ts';
import { runCli } from './run-cli.ts';
import { ServerProcess } from './server-process.ts';

// The agent's admin socket (inventory R078, R083 to R085, A008, A009): what SPIRE's commands print.
const resources = new AsyncDisposableStack();
let folder: TemporaryFolder;
let agent: AgentProcess;
const admin = (...args: string[]) => runCli(['agent', ...args, '-socketPath', folder.join('private/admin.sock')]);

beforeAll(async () => {
  folder = resources.use(await createTemporaryFolder());
  await mkdir(folder.join('node'));
  const server = resources.use(await ServerProcess.start({ folder: folder.path }));
  const settings = `admin_socket_path = "${folder.join('private/admin.sock')}"`;
  agent = resources.use(await AgentProcess.start({ folder: folder.join('node'), server, settings }));
});
afterAll(() => resources.disposeAsync());

test('the socket is for the agent’s user and group alone', async () => {
  expect((await stat(folder.join('private/admin.sock'))).mode & 0o777).toBe(0o770);
  expect((await stat(folder.join('private'))).mode & 0o777).toBe(0o750);
});

test('logger get, set and reset', async () => {
  const pretty = (level: string) => `Logger Level : ${level}\nLaunch Level : info\n\n`;
  expect((await admin('logger', 'get')).stdout).toBe(pretty('info'));
  expect((await admin('logger', 'set', '-level', 'trace')).stdout).toBe(pretty('trace'));
  expect((await admin('logger', 'reset')).stdout).toBe(pretty('info'));
  await agent.program.waitFor('msg="log level changes" before=trace after=info');
  expect((await admin('logger', 'get', '-output', 'json')).stdout).toBe(
    '{"current_level":"INFO","launch_level":"INFO"}\n',
  );
});

test('debug getinfo', async () => {
  const time = '\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\dZ';
  const { code, stdout } = await admin('debug', 'getinfo');
  expect(code).toBe(0);
  expect(stdout).toMatch(
    new RegExp(
      [
        '^Agent Debug Info:',
        '  Uptime:                          (\\d+m)?\\d+s',
        `  Last Sync Success:               ${time}`,
        '  Cached X.509 SVIDs:              1', // the token's /node
        '  Cached JWT SVIDs:                0',
        '  Cached SVID Store X.509 SVIDs:   0',
        '  SVID Chain:',
        '    \\[0\\] SPIFFE ID:  spiffe://example.org/spire/agent/join_token/[0-9a-f-]{36}',
        '        Subject:    .+',
        `        Expires At: ${time}`,
        '    \\[1\\] SPIFFE ID:  spiffe://example.org',
        '        Subject:    .+',
        `        Expires At: ${time}\n$`,
      ].join('\n'),
    ),
  );
  const { stdout: json } = await admin('debug', 'getinfo', '-output', 'json');
  expect(JSON.parse(json)).toMatchObject({ cached_x509_svids_count: 1, svid_chain: [{}, {}] });
});

test('plugins are listed there, too', async () => {
  const { stdout } = await admin('plugin', 'list', '-output', 'json');
  const names = JSON.parse(stdout).plugins.map(({ name }: { name: string }) => name);
  expect(names).toContain('unix');
});

test('the Workload API’s socket has none of it', async () => {
  const { code, stderr } = await agent.run(['logger', 'get']);
  expect(code).toBe(1);
  expect(stderr).toMatch(/^Error: .*\n$/);
});

test('where there is no such socket, it is said what to do', async () => {
  const { code, stderr } = await runCli(['agent', 'logger', 'get', '-socketPath', folder.join('none.sock')]);
  expect({ code, stderr }).toEqual({
    code: 1,
    stderr: `Error: cannot reach the agent at ${folder.join('none.sock')}: there is no such socket; start it, give it an admin_socket_path, or name its socket with -socketPath\n`,
  });
});
