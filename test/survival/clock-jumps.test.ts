import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { SpiffeWorkloadAPIDefinition, type X509SVIDResponse } from '../../src/gen/workload/workload.ts';
import { RpcChannel } from '../../src/rpc/channel.ts';
import { createClient, type ServerStreamCall } from '../../src/rpc/client.ts';
import { Deployment } from '../e2e/deployment.ts';
import type { Program } from '../e2e/program.ts';
import { askForX509 } from '../e2e/workload-process.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../harness/temporary-folder.ts';

// An agent whose clock is set, while the server's is right.

vi.setConfig({ testTimeout: 180_000, hookTimeout: 120_000 });
const JUMPING_CLOCK = pathToFileURL(join(import.meta.dirname, '..', 'crash', 'jumping-clock.ts')).href;
const AS_WORKLOAD = { metadata: { 'workload.spiffe.io': 'true' }, deadlineMs: 180_000 };
const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;
const WAIT = { timeout: 60_000, interval: 100 };
/** Failed attempts in the time that the test looks on, with pauses that double from a second. */
const MOST_ATTEMPTS = 6;

const resources = new AsyncDisposableStack();
let folder: TemporaryFolder;
let deployment: Deployment;
let agent: Program;
let stream: ServerStreamCall<X509SVIDResponse>;

beforeAll(async () => {
  folder = resources.use(await createTemporaryFolder());
  await setClock(0);
  const jumping = ['/usr/bin/env', `NODE_OPTIONS=--import ${JUMPING_CLOCK}`, `CLOCK_FILE=${folder.join('clock')}`];
  const network = {
    serverAddress: '127.0.0.1',
    within: (name: 'server' | 'agent') => (name === 'agent' ? jumping : []),
  };
  deployment = resources.use(await Deployment.create({ network, logLevel: 'info' }));
  await deployment.startServer();
  await deployment.entitle();
  agent = await deployment.startAgent();
  await vi.waitUntil(isServed, WAIT);
  const channel = resources.use(RpcChannel.unix(deployment.workloadSocket));
  stream = resources.use(createClient(SpiffeWorkloadAPIDefinition, channel).fetchX509SVID({}, AS_WORKLOAD));
});
afterAll(() => resources.disposeAsync());

const setClock = (offsetMs: number) => writeFile(folder.join('clock'), String(offsetMs));
const isServed = async () => 'x509' in (await askForX509(deployment.workloadSocket));
const serialOf = (answer: X509SVIDResponse | undefined) =>
  Buffer.from(answer?.svids[0]?.x509Svid ?? []).toString('hex');
const count = (message: string) => agent.records.filter(({ msg }) => msg === message).length;

/** An entry of the user who runs the tests, for what the agent serves to them. */
const createEntry = (path: string) =>
  deployment.createEntry(path, { type: 'unix', value: `uid:${process.getuid?.()}` });

/** An entry that is made now comes to workloads, and its SVID is good by the machine's clock. */
async function expectAllIsWell(path: string): Promise<void> {
  await createEntry(path);
  const isThere = async () => {
    const answer = await askForX509(deployment.workloadSocket);
    return 'x509' in answer && answer.x509.some(({ spiffeId }) => spiffeId === `spiffe://example.org${path}`);
  };
  await expect.poll(isThere, WAIT).toBe(true);
  expect(agent.hasExited).toBe(false);
}

test('set on by more than half of their lives, as after sleep, all SVIDs are replaced, once', async () => {
  const first = serialOf(await stream.receive());
  await setClock(45 * MINUTE_MS);
  expect(serialOf(await stream.receive())).not.toBe(first);
  await setClock(0);
  await expectAllIsWell('/after-sleep');
  expect(count('node attested')).toBeLessThanOrEqual(3);
});

test('set on by a day, it says what is wrong, does not storm the server, and goes on when the time is right', async () => {
  const failed = 'the server was not synced with';
  const before = count(failed);
  await setClock(DAY_MS);
  await agent.waitFor(failed, before + 3);
  const said = agent.records.filter(({ msg }) => msg === failed).map(({ reason }) => String(reason));
  expect(said.slice(before).join('\n')).toMatch(/expired/);
  expect(count(failed) - before).toBeLessThanOrEqual(MOST_ATTEMPTS);
  await setClock(0);
  await expectAllIsWell('/after-the-future');
});

test('set back by a day, it keeps what workloads have, and goes on when the time is right', async () => {
  await setClock(-DAY_MS);
  expect(await isServed()).toBe(true);
  await createEntry('/in-the-past');
  await vi.waitUntil(() => agent.output.includes('not valid yet'), WAIT);
  expect(await isServed()).toBe(true);
  await setClock(0);
  await expectAllIsWell('/after-the-past');
});
