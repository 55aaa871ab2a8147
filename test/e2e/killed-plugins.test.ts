import { readFile, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { EkAuthority } from '../../src/testing/ek-authority.ts';
import { SoftwareTpm } from '../../src/testing/software-tpm.ts';
import { encodePem } from '../../src/x509/pem.ts';
import { describeWithGo } from '../harness/requires.ts';
import { createTemporaryFolder } from '../harness/temporary-folder.ts';
import { goPlugin } from '../plugin-host/go-plugins.ts';
import { isGone } from '../plugin-host/is-gone.ts';
import { Deployment, inData } from './deployment.ts';
import { adminCalls, attestByDigest, attestByTpm, workloadCalls } from './deployment-calls.ts';
import { expectNoSecrets } from './no-secrets.ts';
import type { Program } from './program.ts';
import { SteadyLoad } from './steady-load.ts';

/** The goal: of the calls of the time that was looked at, at most one in a hundred, and none later than that after the kill. */
const MAX_FAILED = 0.01;
const FAILED_UNTIL_MS = 2_000;
const LOOK_MS = 3_000;
const CALLS_OF_A_KIND = 20;
const WAIT = { timeout: 60_000, interval: 50 };

interface Target {
  readonly program: () => Program;
  readonly type: string;
  readonly name: string;
}

const pidOf = ({ program, type, name }: Target): number => {
  const loaded = program().records.filter(({ msg }) => msg === 'plugin loaded');
  return Number(loaded.findLast(({ plugin_type, plugin_name }) => plugin_type === type && plugin_name === name)?.pid);
};

const sum = (counts: readonly number[]) => counts.reduce((total, count) => total + count, 0);

/** Kills a plugin's process under `load`, and looks on until the next has answered calls of every kind for a while. */
async function killUnder(load: SteadyLoad, target: Target): Promise<void> {
  const killed = pidOf(target);
  const before = load.answered;
  const moment = performance.now();
  process.kill(killed, 'SIGKILL');
  await expect.poll(() => pidOf(target) !== killed, WAIT).toBe(true);
  expect(isGone(killed)).toBe(true);
  const calls = () => Object.entries(load.answered).map(([kind, count]) => count - (before[kind] ?? 0));
  const allowed = () => sum(calls()) * MAX_FAILED;
  const goesOn = () => {
    const isEnough = calls().every((count) => count >= CALLS_OF_A_KIND) && allowed() >= load.failedSince(moment).length;
    return isEnough && performance.now() - moment > LOOK_MS;
  };
  await expect.poll(goesOn, WAIT).toBe(true);
  const failed = load.failedSince(moment);
  expect(failed.filter(({ at }) => at > moment + FAILED_UNTIL_MS)).toEqual([]);
  expect(failed.length).toBeLessThanOrEqual(allowed());
  expect(target.program().hasExited).toBe(false);
}

describeWithGo('programs whose plugins are killed one after the other, under load', () => {
  const resources = new AsyncDisposableStack();
  let deployment: Deployment;
  let server: Program;
  let agent: Program;
  let load: SteadyLoad;
  let bundle: string;
  let serverKeys: string;

  beforeAll(async () => {
    const authority = EkAuthority.root({ name: 'TPM maker' });
    const folder = resources.use(await createTemporaryFolder());
    await writeFile(folder.join('ek-ca.pem'), encodePem('CERTIFICATE', authority.certificate.der));
    const go = await goPlugin('server-node-attestor');
    deployment = resources.use(
      await Deployment.create({
        logLevel: 'info',
        serverTpmSettings: `ca_path = "${folder.join('ek-ca.pem')}"`,
        serverPlugins: `NodeAttestor "go_digest" { plugin_cmd = "${go}" plugin_data {} }`,
      }),
    );
    server = await deployment.startServer();
    await deployment.entitle();
    agent = await deployment.startAgent();
    bundle = (await deployment.admin('bundle', 'show')).stdout;
    serverKeys = await readFile(inData(deployment, 'server', 'keys.json'), 'utf8');
    const channels = resources.use(new DisposableStack());
    const tpm = new SoftwareTpm({ ek: 'L-2' });
    const workload = workloadCalls(deployment, channels);
    await vi.waitFor(workload['fetch-x509'], WAIT); // the first sync with its entry
    load = resources.use(
      new SteadyLoad({
        ...(await adminCalls(deployment, channels)),
        ...workload,
        'attest-tpm': attestByTpm(deployment, tpm, [authority.issueEkCertificate(tpm.ekSpki)], channels),
        'attest-go': attestByDigest(deployment, channels),
      }),
    );
    await vi.waitFor(() => expect(Math.min(...Object.values(load.answered))).toBeGreaterThan(CALLS_OF_A_KIND), WAIT);
  }, 300_000);
  afterAll(async () => {
    await resources.disposeAsync();
  });

  test.each([
    ['server', 'KeyManager', 'disk'],
    ['server', 'NodeAttestor', 'tpm'],
    ['server', 'NodeAttestor', 'go_digest'],
    ['agent', 'KeyManager', 'disk'],
    ['agent', 'NodeAttestor', 'tpm'],
    ['agent', 'WorkloadAttestor', 'unix'],
  ] as const)(
    'the %s goes on without its %s "%s" until the next is there',
    async (side, type, name) => {
      await killUnder(load, { program: () => (side === 'server' ? server : agent), type, name });
    },
    300_000,
  );

  test('no program was started again and no key is lost', async () => {
    expect(load.failedSince(0).filter(({ kind }) => !kind.startsWith('attest-'))).toEqual([]); // only streams end with their plugin
    await load[Symbol.asyncDispose]();
    expect((await deployment.admin('bundle', 'show')).stdout).toBe(bundle);
    expect(await readFile(inData(deployment, 'server', 'keys.json'), 'utf8')).toBe(serverKeys);
    const attested = ({ records }: Program) => records.filter(({ msg }) => msg === 'node attested').length;
    expect(attested(agent)).toBe(1);
    expect([server.hasExited, agent.hasExited]).toEqual([false, false]);
    const { spiffe_id } = await agent.waitFor('agent is ready');
    await agent.stop();
    const next = await deployment.startAgent(); // with the key of the one before
    expect(await next.waitFor('agent is ready')).toMatchObject({ spiffe_id });
    expect(attested(next)).toBe(0);
    await expectNoSecrets(deployment, []);
  }, 300_000);
});

describe('a server whose key manager keeps its keys in memory', () => {
  test('makes new authorities when that is killed under load, and agents and workloads go on', async () => {
    await using deployment = await Deployment.create({ logLevel: 'info', serverKeyManager: 'KeyManager "memory" {}' });
    const server = await deployment.startServer();
    await deployment.entitle();
    const agent = await deployment.startAgent();
    const before = (await deployment.admin('bundle', 'show')).stdout;
    using channels = new DisposableStack();
    const workload = workloadCalls(deployment, channels);
    await vi.waitFor(workload['fetch-x509'], WAIT);
    await using load = new SteadyLoad({ ...(await adminCalls(deployment, channels)), ...workload });
    await vi.waitFor(() => expect(Math.min(...Object.values(load.answered))).toBeGreaterThan(CALLS_OF_A_KIND), WAIT);
    await killUnder(load, { program: () => server, type: 'KeyManager', name: 'memory' });
    const after = (await deployment.admin('bundle', 'show')).stdout;
    expect(after.startsWith(before)).toBe(true); // what the old keys signed stays valid
    expect(after.length).toBeGreaterThan(before.length);
    await agent.waitFor('trust bundle updated');
    expect([server.hasExited, agent.hasExited]).toEqual([false, false]);
  }, 300_000);
});
