import { execFile } from 'node:child_process';
import { appendFile, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { TestDomain } from '../agent/test-domain.ts';
import { fetchIds } from '../agent/workload.ts';
import { diskKeys, type TestAgent } from '../harness/running-agent.ts';

// An agent whose data folder is full, while its own X.509-SVID, which lives for seconds, and what is entitled change.

vi.setConfig({ testTimeout: 120_000, hookTimeout: 60_000 });
const run = promisify(execFile);
const WAIT = { timeout: 60_000, interval: 100 };
const isRoot = process.getuid?.() === 0;
const NOT_STORED = 'what the agent is to know after a restart cannot be stored, which may have to attest anew';
const STORED_AGAIN = 'what the agent is to know after a restart is stored again';
const id = (path: string) => `spiffe://example.org${path}`;

const resources = new AsyncDisposableStack();
let domain: TestDomain;

beforeAll(async () => {
  if (!isRoot) return;
  domain = resources.use(await TestDomain.start({ settings: 'agent_ttl = "20s"' }));
});
afterAll(() => resources.disposeAsync());

/** An agent with a disk of its own for its data. */
async function startAgent(name: string, keyManager: (folder: string) => string, stack: AsyncDisposableStack) {
  const folder = domain.folder.join(name);
  const data = join(folder, 'data');
  await mkdir(data, { recursive: true, mode: 0o700 });
  await run('mount', ['-t', 'tmpfs', '-o', 'size=256k,mode=0700', 'tmpfs', data]);
  stack.defer(async () => {
    await run('umount', ['--lazy', data]);
  });
  const plugins = `${keyManager(folder)}\n  NodeAttestor "join_token" {}\n  WorkloadAttestor "unix" {}`;
  const agent = stack.use(await domain.startAgent(name, { plugins }));
  return { agent, filler: join(data, 'filler') };
}

async function fill(path: string): Promise<void> {
  for (const size of [4096, 512, 1]) {
    try {
      for (;;) await appendFile(path, Buffer.alloc(size));
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'ENOSPC')) throw error;
    }
  }
}

const reasonsOf = ({ records }: TestAgent, wanted: string) =>
  records.filter(({ message }) => message === wanted).map(({ fields }) => String(fields.reason));

/** What is entitled changes, and the workload is told. */
async function followsEntries(agent: TestAgent, name: string): Promise<void> {
  const created = await domain.createEntry(`/${name}`);
  await expect.poll(() => fetchIds(agent), WAIT).toEqual([id(`/${name}`)]);
  await domain.deleteEntry(created);
  await expect.poll(() => fetchIds(agent), WAIT).toEqual([]);
}

test.runIf(isRoot)(
  'without room for its SVID an agent goes on with it, says so, and stores it once there is',
  async () => {
    await using stack = new AsyncDisposableStack();
    const { agent, filler } = await startAgent('memory', () => 'KeyManager "memory" {}', stack);
    await fill(filler);
    const { svidExpiresAt } = agent.running;
    await expect.poll(() => agent.running.svidExpiresAt > svidExpiresAt, WAIT).toBe(true);
    await expect
      .poll(() => reasonsOf(agent, NOT_STORED), WAIT)
      .toEqual([expect.stringMatching(/agent\.json.*no space/)]);
    await followsEntries(agent, 'while-full');
    await rm(filler);
    await expect.poll(() => agent.messages, WAIT).toContain(STORED_AGAIN);
  },
);

test.runIf(isRoot)(
  'without room for a new key it goes on with the old one as long as that is good, and renews once there is',
  async () => {
    await using stack = new AsyncDisposableStack();
    const { agent, filler } = await startAgent('disk', diskKeys, stack);
    await fill(filler);
    const notRenewed = () => reasonsOf(agent, 'the X.509-SVID of the agent was not renewed');
    await expect.poll(notRenewed, WAIT).toContainEqual(expect.stringMatching(/^keymanager\(disk\): .*no space/));
    const { svidExpiresAt } = agent.running;
    await followsEntries(agent, 'without-a-key');
    await rm(filler);
    await expect.poll(() => agent.running.svidExpiresAt > svidExpiresAt, WAIT).toBe(true);
  },
);
