import { readFile, rename, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventually } from '../harness/eventually.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../harness/temporary-folder.ts';
import { AgentProcess } from './agent-process.ts';
import { ServerProcess } from './server-process.ts';

const resources = new AsyncDisposableStack();
let folder: TemporaryFolder;
let server: ServerProcess;
let agent: AgentProcess;

const ATTESTOR = fileURLToPath(new URL('../plugin-host/sdk-attestor.ts', import.meta.url));
const RUNS = `#!/bin/sh\nexec ${process.execPath} ${ATTESTOR}\n`;
const ENDS = '#!/bin/sh\nexit 3\n';

/** Another file under the name: one that runs cannot be written. */
async function writeScript(text: string, path = folder.join('attestor.sh')): Promise<void> {
  await writeFile(`${path}.next`, text, { mode: 0o755 });
  await rename(`${path}.next`, path);
}

beforeAll(async () => {
  folder = resources.use(await createTemporaryFolder());
  await writeFile(folder.join('attestor.hcl'), '');
  await writeScript(RUNS);
  await writeScript(ENDS, folder.join('ends.sh'));
  const plugins = `KeyManager "disk" { plugin_data { keys_path = "${folder.path}/keys/keys.json" } }
  NodeAttestor "join_token" {}
  NodeAttestor "sdk" {
    plugin_cmd = "${folder.path}/attestor.sh"
    plugin_args = []
    plugin_data_file = "${folder.path}/attestor.hcl"
  }`;
  server = resources.use(await ServerProcess.start({ folder: folder.path, plugins }));
  agent = resources.use(await AgentProcess.start({ folder: folder.path, server }));
});
afterAll(() => resources.disposeAsync());

async function pluginOf(program: ServerProcess | AgentProcess, name: string) {
  const { stdout } = await program.run(['plugin', 'list', '-output', 'json']);
  const { plugins }: { plugins: { name: string; pid: number; generation: number; last_error: string }[] } =
    JSON.parse(stdout);
  const found = plugins.find((plugin) => plugin.name === name);
  if (found === undefined) throw new Error(`no plugin ${name}`);
  return found;
}

describe('plugin reload', () => {
  test('starts the server’s key manager anew, which has its keys still', async () => {
    const before = await pluginOf(server, 'disk');
    const { code, stdout, stderr } = await server.run(['plugin', 'reload', 'disk']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(
      /^Plugin was reloaded:\n\nName {8}: disk\nKind {8}: KeyManager\nBuilt in {4}: true\nVersion {5}: \d+\.\d+\.\d+\nState {7}: running\nGeneration {2}: 2\n/,
    );
    const after = await pluginOf(server, 'disk');
    expect(after).toMatchObject({ generation: 2, last_error: '' });
    expect(after.pid).not.toBe(before.pid);
    const minted = await server.run(['jwt', 'mint', '-spiffeID', 'spiffe://example.org/x', '-audience', 'a']);
    expect({ code: minted.code, stderr: minted.stderr }).toEqual({ code: 0, stderr: '' });
  });

  test('starts an agent’s plugin anew, flags before the name or behind it', async () => {
    const { code, stderr } = await agent.run(['plugin', 'reload', 'unix', '-type', 'WorkloadAttestor']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(await pluginOf(agent, 'unix')).toMatchObject({ generation: 2 });
    const json = await agent.run(['plugin', 'reload', '-output', 'json', 'unix']);
    expect(JSON.parse(json.stdout)).toMatchObject({ name: 'unix', generation: 3, state: 'running' });
  });

  test.each([
    ['no name', [], 'give the name of one plugin, as in the configuration'],
    ['two names', ['a', 'b'], 'give the name of one plugin, as in the configuration'],
    ['a name that nobody has', ['nobody'], /no plugin "nobody" runs here, but KeyManager "disk", NodeAttestor "sdk"/],
    ['what is part of the program', ['join_token'], /no plugin "join_token" runs here/],
    ['a type that the name has not', ['disk', '-type', 'Notifier'], /no plugin Notifier "disk" runs here/],
  ])('refuses %s', async (_what, words, message) => {
    const { code, stdout, stderr } = await server.run(['plugin', 'reload', ...words]);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(message);
  });

  test('takes the configuration as it is now, and says what is wrong with it', async () => {
    const path = folder.join('server.conf');
    const text = await readFile(path, 'utf8');
    await writeFile(path, text.replace('attestor.sh', 'ends.sh'));
    const dead = await server.run(['plugin', 'reload', 'sdk']);
    expect(dead.code).toBe(1);
    expect(dead.stderr).toMatch(/failed to load plugin "sdk": it exited with status 3 before its handshake/);
    await writeFile(path, text.replace('plugin_args', 'plugin_arg'));
    const mistaken = await server.run(['plugin', 'reload', 'sdk']);
    expect(mistaken.code).toBe(1);
    expect(mistaken.stderr).toMatch(/plugin_arg: is not a known key, did you mean "plugin_args"/);
    await writeFile(path, text);
    expect(await pluginOf(server, 'sdk')).toMatchObject({ generation: 1 });
  });
});

test('SIGUSR1 reloads what has changed, and nothing else', async () => {
  const { generation } = await pluginOf(server, 'disk');
  await writeFile(folder.join('attestor.hcl'), '# another text\n');
  server.program.signal('SIGUSR1');
  await eventually(async () => expect(await pluginOf(server, 'sdk')).toMatchObject({ generation: 2 }));
  expect(await pluginOf(server, 'disk')).toMatchObject({ generation });
});

test('SIGUSR1 does so on the agent, with what is in its configuration file by then', async () => {
  const unix = await pluginOf(agent, 'unix');
  const memory = await pluginOf(agent, 'memory');
  const path = folder.join('agent.conf');
  const text = await readFile(path, 'utf8');
  const changed = 'WorkloadAttestor "unix" { plugin_data { discover_workload_path = true } }';
  await writeFile(path, text.replace('WorkloadAttestor "unix" {}', changed));
  agent.program.signal('SIGUSR1');
  const next = { generation: unix.generation + 1 };
  await eventually(async () => expect(await pluginOf(agent, 'unix')).toMatchObject(next));
  expect(await pluginOf(agent, 'memory')).toMatchObject({ pid: memory.pid, generation: memory.generation });
});

test('healthcheck names a plugin that keeps ending', async () => {
  await writeScript(ENDS);
  process.kill((await pluginOf(server, 'sdk')).pid, 'SIGKILL');
  const isNamed = async () => expect((await server.run(['healthcheck'])).code).toBe(1);
  await eventually(isNamed, 25_000);
  const { code, stderr } = await server.run(['healthcheck']);
  expect(code).toBe(1);
  expect(stderr).toMatch(
    /^Error: server is unhealthy: it returned status NOT_SERVING; plugin NodeAttestor "sdk" keeps ending: .*exited with status 3/,
  );
  await writeScript(RUNS);
  expect((await server.run(['plugin', 'reload', 'sdk'])).code).toBe(0);
  expect((await server.run(['healthcheck'])).code).toBe(0);
});
