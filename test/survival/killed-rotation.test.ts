import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { createJoinToken, writeAgentConf } from '../cli/agent-process.ts';
import { ServerProcess } from '../cli/server-process.ts';
import { Program } from '../e2e/program.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../harness/temporary-folder.ts';

// An agent that has joined by a token, which is good only once: if it loses its identity, it does not come back.

vi.setConfig({ testTimeout: 120_000, hookTimeout: 60_000 });
const KILL_AT_STEP = pathToFileURL(join(import.meta.dirname, 'kill-at-step.ts')).href;
const DISK_KEY_MANAGER = join(import.meta.dirname, '..', '..', 'src', 'plugins', 'disk', 'agent.main.ts');
const DAY_MS = 24 * 3_600_000;

/** Of one rotation, in order. */
const STEPS_OF_AGENT = [
  'call GenerateKey',
  'answer GenerateKey',
  'answer SignData',
  'call RenewAgent',
  'answer RenewAgent',
  'open',
  'rename agent.json',
  'renamed agent.json',
];
const STEPS_OF_KEY_MANAGER = ['open', 'rename assayer-keys.json', 'renamed assayer-keys.json'];

const resources = new AsyncDisposableStack();
let folder: TemporaryFolder;
let server: ServerProcess;
let agentId: string;

beforeAll(async () => {
  folder = resources.use(await createTemporaryFolder());
  server = resources.use(await ServerProcess.start({ folder: folder.path }));
  const token = await createJoinToken(server);
  await writeAgentConf({ folder: folder.path, server, settings: `join_token = "${token}"\n  log_format = "json"` });
  await usePlugins('KeyManager "disk" { plugin_data { directory = "KEYS" } }');
  await using agent = await startAgent();
  agentId = await readyAs(agent);
});
afterAll(() => resources.disposeAsync());

const agentFile = () => folder.join('agent/agent.json');
const armedBy = () => folder.join('armed');
const readyAs = async (agent: Program) => String((await agent.waitFor('agent is ready')).spiffe_id);

async function usePlugins(keyManager: string): Promise<void> {
  const path = folder.join('agent.conf');
  const conf = await readFile(path, 'utf8');
  const block = keyManager.replace('KEYS', folder.join('keys'));
  await writeFile(
    path,
    conf.replace(
      /plugins \{[\s\S]*$/,
      `plugins {
  ${block}
  NodeAttestor "join_token" {}
  WorkloadAttestor "unix" {}
}
`,
    ),
  );
}

async function startAgent(killAt?: string): Promise<Program> {
  const within = killAt === undefined ? [] : ['/usr/bin/env', `NODE_OPTIONS=--import ${preload(killAt)}`];
  return await Program.start(['agent', 'run', '-config', folder.join('agent.conf')], folder.path, within);
}

const preload = (killAt: string) => `${KILL_AT_STEP}?at=${encodeURIComponent(killAt)}&armed=${armedBy()}`;

/** The SVID was received long ago: it is to be replaced at once. */
async function makeDue(): Promise<void> {
  const data = JSON.parse(await readFile(agentFile(), 'utf8'));
  data.svid.receivedAt = new Date(Date.now() - DAY_MS).toISOString();
  await writeFile(agentFile(), JSON.stringify(data));
  await writeFile(armedBy(), '');
}

const leafOf = async () => JSON.parse(await readFile(agentFile(), 'utf8')).svid.chain[0];

test('an agent that is killed at any step of its rotation goes on from there as the same agent', async () => {
  for (const step of STEPS_OF_AGENT) {
    await makeDue();
    await using agent = await startAgent(step);
    expect(await agent.exited, `${step}: ${agent.output}`).toEqual({ code: null, signal: 'SIGKILL' });
    expect(agent.output, step).not.toMatch(/attesting|"level":"error"/);
  }
  const before = await leafOf();
  await makeDue();
  await using agent = await startAgent();
  await agent.waitFor('agent X.509-SVID renewed');
  expect(await readyAs(agent)).toBe(agentId);
  expect(agent.output).not.toMatch(/attesting|"level":"error"/);
  expect(await leafOf()).not.toBe(before);
});

test('a key manager that is killed at any step of making the new key leaves the agent its old one, and makes another', async () => {
  for (const step of STEPS_OF_KEY_MANAGER) {
    await usePlugins(`KeyManager "disk" {
    plugin_cmd = "${process.execPath}"
    plugin_args = ["--import", "${preload(step)}", "${DISK_KEY_MANAGER}"]
    plugin_data { directory = "KEYS" }
  }`);
    const before = await leafOf();
    await makeDue();
    await using agent = await startAgent();
    await agent.waitFor('agent X.509-SVID renewed');
    expect(await readyAs(agent), step).toBe(agentId);
    expect(agent.output, step).toContain('was ended by SIGKILL');
    expect(agent.output, step).not.toContain('attesting');
    expect(await leafOf(), step).not.toBe(before);
  }
});
