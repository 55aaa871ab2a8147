import { mkdir, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { HistoryDefinition } from '../../src/gen/assayer/server/reattest/v1/reattest.ts';
import { AgentDefinition } from '../../src/gen/spire/api/server/agent/v1/agent.ts';
import { EntryDefinition } from '../../src/gen/spire/api/server/entry/v1/entry.ts';
import { Entry } from '../../src/gen/spire/api/types/types.ts';
import { SpiffeWorkloadAPIDefinition, type X509SVIDResponse } from '../../src/gen/workload/workload.ts';
import type { ServerStreamCall } from '../../src/rpc/client.ts';
import { Swtpm } from '../../src/testing/swtpm.ts';
import { AS_WORKLOAD } from '../agent/workload.ts';
import { TestAgent } from '../harness/running-agent.ts';
import { TestServer } from '../harness/running-server.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../harness/temporary-folder.ts';
import { readPcrVector, readVector, toHex } from '../tpm/vectors.ts';

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

const machine = 'shim-grub-secure-boot';
const SOON = { timeout: 60_000, interval: 50 };
const BOOT = { eventLog: readVector(machine, 'binary_bios_measurements') };
const resources = new AsyncDisposableStack();
let folder: TemporaryFolder;
let tpm: Swtpm;
let events: string;

beforeAll(async () => {
  folder = resources.use(await createTemporaryFolder());
  tpm = resources.use(await Swtpm.start({ ek: ['ec-p384'], pcrBanks: 'sha256', ...BOOT }));
  events = await tpm.write('events', BOOT.eventLog);
});
afterAll(() => resources.disposeAsync());

const configurationOf = (name: string, onChange: string) => `
      ca_path = "${tpm.caPath}"
      state_path = "${folder.join(`${name}-state`)}"
      reattest_interval = "1s"
      on_change = "${onChange}"
      policy "golden" {
        secure_boot {}
        pcrs = [{ name = "recorded", values = { "14" = "${toHex(readPcrVector(machine, 'sha256', 14))}" } }]
      }`;

/** A server that asks every second, an agent on the machine, and a workload that is entitled by the policy and by nothing. */
async function deployment(stack: AsyncDisposableStack, name: string, pluginData: string) {
  await mkdir(folder.join(name));
  const server = stack.use(
    await TestServer.start({
      folder: folder.join(name),
      plugins: `KeyManager "memory" {}
  NodeAttestor "tpm" { ${pluginData} }`,
    }),
  );
  const node = { trustDomain: 'example.org', path: '/golden' };
  const entries = [
    {
      spiffeId: node,
      parentId: { trustDomain: 'example.org', path: '/spire/server' },
      selectors: [{ type: 'tpm', value: 'policy:golden' }],
    },
    {
      spiffeId: { trustDomain: 'example.org', path: '/workload' },
      parentId: node,
      selectors: [{ type: 'unix', value: `uid:${process.getuid?.()}` }],
    },
  ].map((entry) => Entry.fromPartial(entry));
  await server.admin(EntryDefinition).batchCreateEntry({ entries, outputMask: undefined });
  const agent = stack.use(
    await TestAgent.start({
      folder: folder.join(`${name}-agent`),
      serverPort: server.running.port,
      settings: 'insecure_bootstrap = true',
      syncInterval: '1h',
      plugins: `KeyManager "memory" {}
  NodeAttestor "tpm" { plugin_data {
    tcti = "${tpm.tcti}"
    event_log_path = "${events}"
  } }
  WorkloadAttestor "unix" {}`,
    }),
  );
  const stream = stack.use(
    agent.workload(SpiffeWorkloadAPIDefinition).fetchX509SVID({}, { ...AS_WORKLOAD, deadlineMs: 90_000 }),
  );
  return { server, agent, stream };
}

async function svidsOf(stream: ServerStreamCall<X509SVIDResponse>): Promise<readonly string[]> {
  return ((await stream.receive())?.svids ?? []).map(({ spiffeId }) => spiffeId);
}

test('a workload is told when its node stops being what its policy wants, and gets its SVID back once that is mended', async () => {
  await using stack = new AsyncDisposableStack();
  const { server, agent, stream } = await deployment(
    stack,
    'selectors',
    `plugin_data {${configurationOf('selectors', 'selectors')}
  }`,
  );
  expect(await svidsOf(stream)).toEqual(['spiffe://example.org/workload']);
  const isWatched = () => server.records.filter(({ message }) => message === 'quote verified').length > 1;
  await vi.waitUntil(isWatched, SOON);
  const startedAt = performance.now();
  await tpm.tools('tpm2_pcrextend', `14:sha256=${'5a'.repeat(32)}`);
  await expect(svidsOf(stream)).rejects.toThrow(/no identity issued/);
  console.log(
    `from tpm2_pcrextend to the workload being told: ${Math.round(performance.now() - startedAt)} ms at an interval of 1 s`,
  );
  expect(server.records).toContainEqual(
    expect.objectContaining({
      message: 'agent is no longer what its policy wants',
      fields: expect.objectContaining({
        action: 'selectors',
        reason: expect.stringMatching(/PCR 14 is .*\(check D28\)/),
      }),
    }),
  );
  const told = 'the server does not find this node to be what it has to be: its operator knows why';
  await vi.waitUntil(() => agent.messages.includes(told), SOON);
  expect(JSON.stringify(agent.records)).not.toMatch(/check D28/);

  const { verdicts } = await vi.waitFor(async () => {
    const answer = await server.admin(HistoryDefinition).listVerdicts({ agentId: agent.running.agentId, limit: 0 });
    expect(answer.verdicts.map(({ verdict }) => verdict)).toEqual(['lost', 'held', 'attested']);
    return answer;
  }, SOON);
  expect(verdicts[0]).toMatchObject({ policies: [], reason: expect.stringMatching(/\(check D28\)/) });
  expect(verdicts[1]).toMatchObject({ policies: ['policy:golden'], reason: '' });
  expect(new Set(verdicts.map(({ evidenceSha256 }) => evidenceSha256)).size).toBe(3);

  await tpm.boot(BOOT);
  const hasAgain = async () => {
    try {
      await using again = agent
        .workload(SpiffeWorkloadAPIDefinition)
        .fetchX509SVID({}, { ...AS_WORKLOAD, deadlineMs: 10_000 });
      return (await svidsOf(again)).length === 1;
    } catch {
      return false;
    }
  };
  await vi.waitUntil(hasAgain, SOON);
});

test('an agent is banned where that is configured, and ends', async () => {
  await using stack = new AsyncDisposableStack();
  const { server, agent, stream } = await deployment(
    stack,
    'ban',
    `plugin_data {${configurationOf('ban', 'ban')}
  }`,
  );
  expect(await svidsOf(stream)).toEqual(['spiffe://example.org/workload']);
  await tpm.tools('tpm2_pcrextend', `14:sha256=${'5a'.repeat(32)}`);
  await expect(agent.running.ended).rejects.toThrow(/the server has banned this agent/);
  const { agents } = await server
    .admin(AgentDefinition)
    .listAgents({ filter: undefined, outputMask: undefined, pageSize: 0, pageToken: '' });
  expect(agents.map(({ banned }) => banned)).toEqual([true]);
  await tpm.boot(BOOT);
});

test('or is only warned of, until a plugin_data_file that is written says otherwise', async () => {
  await using stack = new AsyncDisposableStack();
  const dataFile = folder.join('warn.hcl');
  await writeFile(dataFile, configurationOf('warn', 'warn'));
  const { server, stream } = await deployment(stack, 'warn', `plugin_data_file = "${dataFile}"`);
  expect(await svidsOf(stream)).toEqual(['spiffe://example.org/workload']);
  await tpm.tools('tpm2_pcrextend', `14:sha256=${'5a'.repeat(32)}`);
  await vi.waitUntil(
    () => server.records.some(({ message }) => message === 'agent is no longer what its policy wants'),
    SOON,
  );
  const { agents } = await server
    .admin(AgentDefinition)
    .listAgents({ filter: undefined, outputMask: undefined, pageSize: 0, pageToken: '' });
  expect(agents[0]).toMatchObject({ banned: false });
  expect(agents[0]?.selectors).toContainEqual({ type: 'tpm', value: 'policy:golden' });
  await writeFile(dataFile, configurationOf('warn', 'selectors'));
  await expect(svidsOf(stream)).rejects.toThrow(/no identity issued/);
  await tpm.boot(BOOT);
});
