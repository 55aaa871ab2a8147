import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { type ExplainWorkloadResponse, WhyDefinition } from '../../src/gen/assayer/agent/why/v1/why.ts';
import { runCli } from '../cli/run-cli.ts';
import type { TestAgent } from '../harness/running-agent.ts';
import { diskKeys, JOIN_TOKEN_AND_UNIX } from '../harness/running-agent.ts';
import { MYSELF, TestDomain } from './test-domain.ts';
import { AS_WORKLOAD, fetchIds, workloadApi } from './workload.ts';

// "no identity issued", answered: each usual mistake is named with what mends it.

vi.setConfig({ testTimeout: 90_000, hookTimeout: 90_000 });

const WAIT = { timeout: 30_000, interval: 50 };
const resources = new AsyncDisposableStack();
let domain: TestDomain;
let agent: TestAgent;

const naming = (name: string, data: string) =>
  `WorkloadAttestor "${name}" {
    plugin_cmd = "${process.execPath}"
    plugin_args = ["${join(import.meta.dirname, 'naming-attestor.ts')}", "${name}"]
    plugin_data { ${data} }
  }`;

beforeAll(async () => {
  domain = resources.use(await TestDomain.start());
  agent = resources.use(
    await domain.startAgent('agent', {
      syncInterval: '1h',
      plugins: [
        diskKeys(domain.folder.join('agent')),
        JOIN_TOKEN_AND_UNIX,
        naming('k8s', 'selectors = ["ns:shop", "pod-name:web", "sa:default"]'),
        naming('docker', 'unreadable = "unix:///var/run/docker.sock"'),
      ].join('\n'),
    }),
  );
});
afterAll(() => resources.disposeAsync());

const socketPath = () => agent.running.socketPath;
const explain = (request: { pid?: number; spiffeId?: string } = {}): Promise<ExplainWorkloadResponse> =>
  agent.workload(WhyDefinition).explainWorkload({ pid: 0, spiffeId: '', ...request }, { deadlineMs: 20_000 });
const textsOf = ({ findings }: ExplainWorkloadResponse) => findings.map(({ code, text }) => `${code} ${text}`);

/** What is said while an entry is there, once the agent has heard of it; the entry is gone afterwards. */
async function saidWith(entry: Parameters<TestDomain['createEntry']>[1], isUnderAgent = true): Promise<string> {
  const id = await domain.createEntry('/wanted', entry);
  try {
    const find = async () => (await explain()).entries.some((found) => found.id === id);
    if (isUnderAgent) await expect.poll(find, WAIT).toBe(true);
    return textsOf(await explain()).join('\n');
  } finally {
    await domain.deleteEntry(id);
    if (isUnderAgent)
      await expect.poll(async () => (await explain()).entries.some((one) => one.id === id), WAIT).toBe(false);
  }
}

const k8s = (...values: readonly string[]) => values.map((value) => ({ type: 'k8s', value }));
const path = (text: string) => ({ trustDomain: 'example.org', path: text });

describe('the usual mistakes', () => {
  test('no entry at all', async () => {
    const text = textsOf(await explain()).join('\n');
    expect(text).toContain(`create one with "assayer server entry create -parentID spiffe://example.org/node`);
    expect(text).toContain(`-selector unix:uid:${process.getuid?.()}`);
    expect(text).toMatch(/^NO_ENTRY The server has no entry for what this workload has: create one .*be so\.$/m);
  });

  test('a parent ID that nobody has', async () => {
    const text = await saidWith({ parentId: path('/nod') }, false);
    expect(text).toMatch(/^WRONG_PARENT_ID The server has 1 entry for this workload whose parent ID nobody has/m);
    expect(text).toContain(
      `this agent is ${agent.running.agentId} and, by its join token, spiffe://example.org/node, so set -parentID to the latter`,
    );
  });

  test('an entry for another agent', async () => {
    const text = await saidWith({ parentId: path('/spire/agent/join_token/other') }, false);
    expect(text).toMatch(/^ENTRY_OF_OTHER_AGENT The server has 1 entry for this workload under another agent/m);
    expect(text).toContain(`"assayer server entry explain -agent ${agent.running.agentId} -selector unix:uid:`);
  });

  test('an entry for nodes that the node lacks a selector of', async () => {
    const alias = await domain.createEntry('/racks/7', {
      parentId: path('/spire/server'),
      selectors: [{ type: 'tpm', value: 'rack:7' }],
    });
    expect(await saidWith({ parentId: path('/racks/7') }, false)).toMatch(
      /^NODE_LACKS_SELECTORS The server has 1 entry/m,
    );
    await domain.deleteEntry(alias);
  });

  test('a selector that is typed pod_name', async () => {
    const text = await saidWith({ selectors: k8s('ns:shop', 'pod_name:web') });
    expect(text).toMatch(
      /^SELECTOR_MISSPELLED Entry \S+ \(spiffe:\/\/example.org\/wanted\) asks for k8s:pod_name:web, which is likely misspelled: the workload has k8s:pod-name:web; correct it/m,
    );
  });

  test('a selector whose key the attestor does not have', async () => {
    expect(await saidWith({ selectors: k8s('ns:shop', 'podname:else') })).toMatch(
      /^SELECTOR_MISSPELLED .*: the attestor "k8s" has "pod-name" and no "podname"/m,
    );
  });

  test('a selector of a kind that there is not', async () => {
    expect(await saidWith({ selectors: [{ type: 'unix', value: 'owner-of-process:0' }] })).toMatch(
      /^SELECTOR_MISSING .*lacks unix:owner-of-process:0, of which the attestor "unix" has "uid", .* and no "owner-of-process": /m,
    );
  });

  test('a selector that the workload lacks', async () => {
    expect(await saidWith({ selectors: [MYSELF, ...k8s('ns:else')] })).toMatch(
      /^SELECTOR_MISSING .*would match, but the workload lacks k8s:ns:else and has k8s:ns:shop: /m,
    );
  });

  test('an attestor that is not loaded', async () => {
    const text = await saidWith({ selectors: [MYSELF, { type: 'systemd', value: 'id:web.service' }] });
    expect(text).toMatch(
      /^ATTESTOR_NOT_LOADED entry \S+ \(spiffe:\/\/example.org\/wanted\) asks for systemd:id:web.service/m,
    );
    expect(text).toContain(
      'no workload attestor "systemd" (it has unix, k8s, docker): put WorkloadAttestor "systemd" {}',
    );
  });

  test('a Docker socket that the agent may not open', async () => {
    const text = await saidWith({ selectors: [{ type: 'docker', value: 'image_id:web' }] });
    expect(text).toMatch(
      /^ATTESTOR_FAILED The workload attestor "docker" failed: .*cannot connect to unix:\/\/\/var\/run\/docker.sock: permission denied/m,
    );
    expect(text).toContain(`let the agent's user (uid ${process.getuid?.()}) open what it names`);
  });

  test('an expired entry', async () => {
    const expiresAt = BigInt(Math.floor(Date.now() / 1000) - 60);
    expect(await saidWith({ expiresAt }, false)).toMatch(
      /^ENTRY_EXPIRED The server has 1 entry .* whose time is over/m,
    );
  });

  test('the trust domain of another client', async () => {
    const text = textsOf(await explain({ spiffeId: 'spiffe://exmaple.org/wanted' })).join('\n');
    expect(text).toMatch(
      /^OTHER_TRUST_DOMAIN spiffe:\/\/exmaple.org\/wanted is not of this agent's trust domain, which is "example.org"/,
    );
    // As a client asks, without anybody naming it.
    const asked = workloadApi(agent).fetchJWTSVID(
      { audience: ['a'], spiffeId: 'spiffe://exmaple.org/jwt' },
      AS_WORKLOAD,
    );
    await expect(asked).rejects.toThrow('no identity issued');
    const answer = await explain();
    expect(answer.lastRefusal).toMatchObject({
      method: '/SpiffeWorkloadAPI/FetchJWTSVID',
      spiffeId: 'spiffe://exmaple.org/jwt',
    });
    expect(textsOf(answer)[0]).toMatch(/^OTHER_TRUST_DOMAIN spiffe:\/\/exmaple.org\/jwt is not of/);
    await expect(fetchIds(agent)).resolves.toEqual([]); // the next refusal is the last one
  });

  test('an entry that was just created', async () => {
    const keyManager = domain.server.running.plugins.find(({ type }) => type === 'KeyManager')?.pid ?? 0;
    process.kill(keyManager, 'SIGSTOP');
    const created: string[] = [];
    try {
      created.push(await domain.createEntry('/first'));
      const codes = async () => (await explain()).findings.map(({ code }) => code);
      await expect.poll(codes, WAIT).toContain('SVID_BEING_SIGNED');
      const { entries } = await explain();
      expect(entries[0]).toMatchObject({ spiffeId: 'spiffe://example.org/first', matches: true });
      expect(entries[0]?.svid?.signingSince).toBeGreaterThan(0n);
    } finally {
      process.kill(keyManager, 'SIGCONT');
    }
    await expect.poll(() => fetchIds(agent), WAIT).toEqual(['spiffe://example.org/first']);
    expect(textsOf(await explain())[0]).toBe('IDENTITY The workload gets spiffe://example.org/first.');
    expect(textsOf(await explain({ spiffeId: 'spiffe://example.org/other' }))[0]).toMatch(
      /^OTHER_IDENTITY The workload was to get spiffe:\/\/example.org\/other, and what it has is for spiffe:\/\/example.org\/first/,
    );
    for (const id of created) await domain.deleteEntry(id);
    await expect.poll(() => fetchIds(agent), WAIT).toEqual([]);
  });
});

test('the log says the same in one line, once, and no selector that it may not', async () => {
  await using other = await domain.startAgent('talking', {
    settings: `log_selectors = ["k8s:ns"]\n  join_token = "${await domain.createToken()}"`,
    plugins: [
      diskKeys(domain.folder.join('talking')),
      JOIN_TOKEN_AND_UNIX,
      naming('k8s', 'selectors = ["ns:shop", "pod-name:web"]'),
    ].join('\n'),
  });
  const id = await domain.createEntry('/web', { selectors: k8s('ns:shop', 'pod_name:web') });
  await expect.poll(async () => other.running.agentId && (await fetchIds(other)), WAIT).toEqual([]);
  for (let attempt = 0; attempt < 3; attempt += 1) await expect(fetchIds(other)).resolves.toEqual([]);
  const lines = () => other.records.filter(({ message }) => message === 'a workload got no identity');
  await expect.poll(() => lines().length, WAIT).toBe(1);
  const [line] = lines();
  expect(line).toMatchObject({
    level: 'warning',
    fields: { pid: process.pid, uid: process.getuid?.(), path: process.execPath },
  });
  expect(JSON.stringify(line)).not.toContain('web-');
  expect(line?.fields.reason).not.toMatch(/pod.name|unix:/);
  expect(String(line?.fields.reason).split('\n')).toHaveLength(1);
  await domain.deleteEntry(id);
});

describe('whoever asks', () => {
  test('asks about any process, as root or as the user of the agent', async () => {
    const { code, stdout } = await runCli(['agent', 'why', '-pid', String(process.pid), '-socketPath', socketPath()]);
    expect(code).toBe(0);
    for (const text of [
      `Process           : ${process.pid}, of user ${process.getuid?.()} and group ${process.getgid?.()}`,
      `Runs              : ${process.execPath}`,
      'Selector          : k8s:pod-name:web',
      'Attestor          : k8s: 3 selectors at ',
      'Attestor          : docker: failed at ',
      `Agent             : ${agent.running.agentId}`,
      'Last sync         : ',
      '\n0 entries match',
    ]) {
      expect(stdout).toContain(text);
    }
  });

  test('gets JSON for programs', async () => {
    const { stdout } = await runCli(['agent', 'why', '-output', 'json', '-socketPath', socketPath()]);
    const answer = JSON.parse(stdout);
    expect(answer).toMatchObject({ agent: { id: agent.running.agentId, attestors: ['unix', 'k8s', 'docker'] } });
    expect(answer.workload.pid).not.toBe(process.pid); // it is the command itself that is explained
  });

  test.each([
    ['no process', 2 ** 22 + 1, /has ended|no process/],
    ['no number', -1, /process ID -1 is not a number/],
  ])('is told of %s', async (_what, pid, message) => {
    await expect(explain({ pid })).rejects.toThrow(message);
  });
});

describe('an agent that has ended by itself', () => {
  const why = async (stopped: string) => {
    const { code, stderr } = await runCli(['agent', 'why', '-socketPath', stopped]);
    expect(code).toBe(1);
    return stderr;
  };

  test('because it was banned, says so beside its socket', async () => {
    const banned = await domain.startAgent('banned');
    const { socketPath: stopped, agentId, ended } = banned.running;
    await domain.ban(agentId);
    await expect(ended).rejects.toThrow(/banned/);
    await banned[Symbol.asyncDispose]();
    expect(await why(stopped)).toMatch(
      new RegExp(
        `ended by itself at .*: the server has banned this agent, ${agentId}: .*"assayer server agent evict -spiffeID ${agentId}" lets it attest again`,
      ),
    );
  });

  test('because its SVID expired and its join token is used up', async () => {
    let hours = 0;
    const clock = () => new Date(Date.now() + hours * 3_600_000);
    const expired = await domain.startAgent('expired', { clock });
    const { socketPath: stopped, ended } = expired.running;
    hours = 24 * 30;
    await expect(ended).rejects.toThrow(/expired/);
    await expired[Symbol.asyncDispose]();
    expect(await why(stopped)).toMatch(
      /its X.509-SVID expired at .*make a new one with "assayer server token generate"/,
    );
  });
});

test('a server that is away', async () => {
  await domain.stopServer();
  const find = async () => (await explain()).findings.map(({ code }) => code);
  await expect.poll(find, WAIT).toContain('SERVER_AWAY');
  const answer = await explain();
  const text = textsOf(answer).join('\n');
  expect(text).toMatch(
    /^SERVER_AWAY The agent has had no answer from its server since .*does not answer: .*check that it runs, and server_address/m,
  );
  expect(answer.agent?.serverError).toContain('does not answer');
  expect(answer.agent?.failingSince).toBeGreaterThan(0n);
});
