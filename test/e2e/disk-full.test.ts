import { execFile } from 'node:child_process';
import { appendFile, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createTemporaryFolder } from '../harness/temporary-folder.ts';
import { Deployment } from './deployment.ts';
import type { Program } from './program.ts';
import { askForX509 } from './workload-process.ts';

const run = promisify(execFile);
const WAIT = { timeout: 30_000, interval: 100 };
const isRoot = process.getuid?.() === 0;

const resources = new AsyncDisposableStack();
let deployment: Deployment;
let filler: string;
beforeAll(async () => {
  if (!isRoot) return;
  const folder = resources.use(await createTemporaryFolder());
  const disk = folder.join('small');
  await mkdir(disk);
  await run('mount', ['-t', 'tmpfs', '-o', 'size=1m,mode=0711', 'tmpfs', disk]);
  resources.defer(async () => {
    await run('umount', ['--lazy', disk]);
  });
  filler = join(disk, 'filler');
  deployment = resources.use(
    await Deployment.create({ dataRoot: disk, serverSettings: 'agent_ttl = "20s"\n  default_x509_svid_ttl = "10s"' }),
  );
});
afterAll(() => resources.disposeAsync());

async function fillDisk(): Promise<void> {
  for (const size of [65_536, 4096, 512, 1]) {
    try {
      for (;;) await appendFile(filler, Buffer.alloc(size));
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'ENOSPC')) throw error;
    }
  }
}

/** It runs, or it says in one line why not. */
async function runsOrExplains(program: Program, ready: string): Promise<void> {
  try {
    await program.waitFor(ready);
  } catch {
    expect(await program.exited).toEqual({ code: 1, signal: null });
    expect(program.lines.at(-1)).toMatch(/no space|ENOSPC|full/i);
    expect(program.output).not.toMatch(/^ {4}at /m);
  }
  await program[Symbol.asyncDispose]();
}

test.runIf(isRoot)(
  'a full disk stops what has to be written, says so, and costs nothing',
  async () => {
    const [server, agent] = [await deployment.startServer(), await deployment.startAgent()];
    await deployment.entitle();
    const entitled = () => askForX509(deployment.workloadSocket);
    await expect.poll(entitled, WAIT).toHaveProperty('x509');
    const { stdout: bundle } = await deployment.admin('bundle', 'show');
    const { spiffe_id } = await agent.waitFor('agent is ready');

    await fillDisk();
    await expect(
      (async () => {
        for (let count = 0; count < 200; count++) await deployment.createEntry(`/full-${count}`);
      })(),
    ).rejects.toThrow(/disk|space|full/);
    await agent.waitFor('the workload cache cannot be kept, a restart needs the server');
    expect(await entitled()).toHaveProperty('x509');
    expect([server.hasExited, agent.hasExited]).toEqual([false, false]);

    await rm(filler);
    await agent.waitFor('the workload cache is kept again');
    await deployment.createEntry('/after');
    const kept = await deployment.entryPaths();
    await fillDisk();
    await Promise.all([server.stop(), agent.stop()]);
    await runsOrExplains(await deployment.launch('server'), 'server is ready');
    await runsOrExplains(await deployment.launch('agent'), 'agent is ready');

    await rm(filler);
    await deployment.startServer();
    expect((await deployment.admin('bundle', 'show')).stdout).toBe(bundle);
    expect(await deployment.entryPaths()).toEqual(kept);
    const again = await deployment.startAgent();
    expect(await again.waitFor('agent is ready')).toMatchObject({ spiffe_id });
    await expect.poll(entitled, WAIT).toMatchObject({ x509: [{ spiffeId: 'spiffe://example.org/workload' }] });
  },
  180_000,
);
