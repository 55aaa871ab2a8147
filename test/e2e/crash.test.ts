import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { isGone } from '../plugin-host/is-gone.ts';
import { Deployment } from './deployment.ts';
import { expectNoSecrets } from './no-secrets.ts';
import { nothingLeftIn } from './nothing-left.ts';
import type { Program } from './program.ts';
import { askForX509 } from './workload-process.ts';

const KILLS = 10;
const WAIT = { timeout: 30_000, interval: 50 };

let deployment: Deployment;
beforeAll(async () => {
  // SVIDs that live for seconds, so that there is always something to write.
  deployment = await Deployment.create({ serverSettings: 'agent_ttl = "20s"\n  default_x509_svid_ttl = "10s"' });
});
afterAll(() => deployment[Symbol.asyncDispose]());

/** Starts it and kills it at a random moment, some time after it is ready at the latest. */
async function startAndKill(name: 'server' | 'agent', startMs: number): Promise<void> {
  const program = await deployment.launch(name);
  await wait(Math.random() * 1.5 * startMs);
  expect(program.hasExited ? program.output : '').toBe('');
  await program.kill();
}

/** A killed program ends none of its plugins: they notice. */
async function expectNoOrphans(): Promise<void> {
  const killed = deployment.programs.filter(({ hasExited }) => hasExited);
  const plugins = killed.flatMap(({ pluginPids }) => pluginPids);
  expect(plugins.length).toBeGreaterThan(0);
  await expect.poll(() => plugins.filter((pid) => !isGone(pid)), WAIT).toEqual([]);
}

/** Adds entries until the server is gone. @returns the paths that it confirmed. */
async function addEntries(prefix: string, until: AbortSignal): Promise<readonly string[]> {
  const confirmed: string[] = [];
  while (!until.aborted) {
    const path = `/${prefix}-${confirmed.length}`;
    try {
      await deployment.createEntry(path);
      confirmed.push(path);
    } catch {
      // not up yet, or not any more
    }
    await wait(20);
  }
  return confirmed;
}

async function timed<T>(work: () => Promise<T>): Promise<{ readonly result: T; readonly ms: number }> {
  const start = performance.now();
  return { result: await work(), ms: performance.now() - start };
}

const complaints = ({ records }: Program) => records.filter(({ level }) => level === 'error' || level === 'fatal');

test(`a server that is killed ${KILLS} times keeps its authorities and every entry that it confirmed`, async () => {
  const first = await deployment.startServer();
  const { stdout: bundle } = await deployment.admin('bundle', 'show');
  await deployment.entitle();
  await first.stop();
  const { result: second, ms } = await timed(() => deployment.startServer());
  await second.stop();

  const confirmed: string[] = [];
  for (let kill = 0; kill < KILLS; kill++) {
    const killed = new AbortController();
    const adding = addEntries(`kill-${kill}`, killed.signal);
    await startAndKill('server', ms).finally(() => killed.abort());
    confirmed.push(...(await adding));
  }
  const last = await deployment.startServer();
  await expectNoOrphans();
  expect((await deployment.admin('bundle', 'show')).stdout).toBe(bundle);
  const paths = await deployment.entryPaths();
  expect(confirmed.filter((path) => !paths.has(path))).toEqual([]);
  expect(paths).toContain('/workload');
  expect(deployment.programs.flatMap(complaints)).toEqual([]);
  await last.stop();
}, 300_000);

test(`an agent that is killed ${KILLS} times goes on as the same agent, with nothing left in the TPM`, async () => {
  await deployment.startServer();
  const { result: first, ms } = await timed(() => deployment.startAgent());
  const { spiffe_id } = await first.waitFor('agent is ready');
  await first.stop();
  for (let kill = 0; kill < KILLS; kill++) await startAndKill('agent', ms);
  const last = await deployment.startAgent();
  expect(await last.waitFor('agent is ready')).toMatchObject({ spiffe_id });
  const served = () => askForX509(deployment.workloadSocket);
  try {
    await expect.poll(served, WAIT).toMatchObject({ x509: [{ spiffeId: 'spiffe://example.org/workload' }] });
  } catch (cause) {
    throw new Error(`the agent does not serve:\n${last.output}`, { cause });
  }
  expect(deployment.programs.flatMap(complaints)).toEqual([]);
  await last.stop();
  await expectNoOrphans();
  await nothingLeftIn(deployment.tpm);
  await expectNoSecrets(deployment, []);
}, 300_000);
