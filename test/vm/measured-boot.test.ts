import { hash } from 'node:crypto';
import { appendFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AgentDefinition, ListAgentsRequest } from '../../src/gen/spire/api/server/agent/v1/agent.ts';
import { removedAfterUs } from '../../src/testing/removed-after-us.ts';
import { judgeEvents } from '../../src/tpm/event-log/judge-events.ts';
import { parseEventLog } from '../../src/tpm/event-log/parse-event-log.ts';
import { BOOT_PCRS, replayEventLog, requireReplay } from '../../src/tpm/event-log/replay.ts';
import { requireBootAggregate, requireImaPrefix } from '../../src/tpm/ima/replay-ima-log.ts';
import type { BootPolicy } from '../../src/tpm/policy/boot-policy.ts';
import { judge, REFUSAL_FOR_PEER } from '../../src/tpm/policy/judge.ts';
import { NODE_PATH, TestDomain } from '../agent/test-domain.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../harness/temporary-folder.ts';
import { type FileDigests, makeDisk, makeInitramfs } from './images.ts';
import { findKernel } from './kernel.ts';
import { learnPolicy } from './learn-policy.ts';
import type { MachineOptions } from './machine.ts';
import { MachineTpm } from './machine-tpm.ts';
import { writePolicyFile } from './policy-file.ts';
import { type Visit, visit } from './visit.ts';

const COMMAND_LINE = 'console=ttyS0 panic=-1 ima_policy=tcb rootfstype=ramfs';
const AGENT = '/opt/assayer/dist/assayer.js';
/** All boots, two at a time, on a machine that does much else. */
const ALL_MS = 2_700_000;
const SELECTED_PCRS = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];

const resources = new AsyncDisposableStack();
let folder: TemporaryFolder;
let domain: TestDomain;
let policy: BootPolicy;
let tpms: { readonly first: MachineTpm; readonly second: MachineTpm };
let visits: {
  readonly genuine: Visit;
  readonly secondGenuine: Visit;
  readonly commandLine: Visit;
  readonly initrd: Visit;
  readonly agent: Visit;
  readonly again: Visit;
};

beforeAll(async () => {
  folder = resources.use(await createTemporaryFolder());
  resources.use(removedAfterUs(folder.path));
  const images = await makeImages();
  tpms = {
    first: await MachineTpm.manufacture(folder.join('tpm1')),
    second: await MachineTpm.manufacture(folder.join('tpm2')),
  };
  domain = resources.use(
    await TestDomain.start({ plugins: await serverPlugins('event_log = true\n      ima_log = true') }),
  );
  const { first, second } = tpms;
  const [genuine, secondGenuine] = await Promise.all([boot('first machine', first), boot('second machine', second)]);
  policy = learnPolicy('golden', [genuine.boot, secondGenuine.boot], images);
  await domain.stopServer();
  await domain.startServer({ plugins: await serverPlugins(await writePolicyFile(folder.join('policy'), policy)) });
  await createEntries();
  const [commandLine, initrd] = await bothOf(
    boot('first machine with another command line', first, { commandLine: `${COMMAND_LINE} mitigations=off` }),
    boot('second machine with another initrd', second, { initramfs: folder.join('changed-initramfs') }),
  );
  const [agent, again] = await bothOf(
    boot('first machine with another agent', first, { disk: folder.join('changed.img') }),
    boot('second machine as it was', second),
  );
  visits = { genuine, secondGenuine, commandLine, initrd, agent, again };
}, ALL_MS);
afterAll(() => resources.disposeAsync());

/** Neither is left alone when the other fails. */
async function bothOf(one: Promise<Visit>, other: Promise<Visit>): Promise<[Visit, Visit]> {
  await Promise.allSettled([one, other]);
  return [await one, await other];
}

/** @returns what is in those that nobody has changed. */
async function makeImages(): Promise<readonly FileDigests[]> {
  const kernel = findKernel();
  const disk = await makeDisk(folder.join('genuine.img'), folder.join('genuine'));
  await makeDisk(folder.join('changed.img'), folder.join('changed'), (root) => appendFile(join(root, AGENT), '\n//\n'));
  await makeInitramfs(folder.join('changed-initramfs'), folder.join('changed-files'), kernel, 'changed');
  const initramfs = await makeInitramfs(folder.join('genuine-initramfs'), folder.join('files'), kernel, 'genuine');
  return [initramfs, disk];
}

async function serverPlugins(settings: string): Promise<string> {
  const { first, second } = tpms;
  await writeFile(
    folder.join('ca.pem'),
    `${await readFile(first.caPath, 'utf8')}${await readFile(second.caPath, 'utf8')}`,
  );
  return `KeyManager "memory" {}
  NodeAttestor "tpm" {
    plugin_data {
      virtual_ca_path = "${folder.join('ca.pem')}"
      pcrs = [${SELECTED_PCRS}]
      ${settings}
      challenge_timeout = "10m"
    }
  }`;
}

/** A workload gets its identity on nodes that meet the policy. */
async function createEntries(): Promise<void> {
  const server = { trustDomain: 'example.org', path: '/spire/server' };
  await domain.createEntry(NODE_PATH, { parentId: server, selectors: [{ type: 'tpm', value: 'policy:golden' }] });
  await domain.createEntry('/workload', { selectors: [{ type: 'unix', value: 'uid:0' }] });
}

async function boot(name: string, tpm: MachineTpm, changes: Partial<MachineOptions> = {}): Promise<Visit> {
  const options = {
    name,
    folder: folder.join(name.replaceAll(' ', '-')),
    tpm,
    kernel: findKernel().image,
    initramfs: folder.join('genuine-initramfs'),
    disk: folder.join('genuine.img'),
    commandLine: COMMAND_LINE,
    ...changes,
  };
  return await visit(options, { serverPort: domain.port, bundlePem: await readFile(domain.bundlePath, 'utf8') });
}

const agentId = ({ agentLog }: Visit) => /spiffe:\/\/example\.org\/spire\/agent\/tpm\/[0-9a-f]{64}/.exec(agentLog)?.[0];
const all = () => Object.values(visits);

describe('every boot', () => {
  test('has an event log that gives the PCRs of the TPM', () => {
    for (const { boot } of all()) {
      const log = parseEventLog(boot.eventLog);
      const replayed = replayEventLog(log, 'sha256');
      expect(() => requireReplay(replayed, boot.pcrs)).not.toThrow();
      expect(judgeEvents(log, 'sha256').length).toBe(log.events.length);
      expect(BOOT_PCRS.filter((index) => (replayed[index]?.eventCount ?? 0) > 0)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 9]);
    }
  });

  test('has an IMA log of this boot, whose beginning gives PCR 10', () => {
    for (const { boot } of all()) {
      const pcr10 = boot.pcrs.get(10) ?? new Uint8Array();
      const { entryCount, violationCount } = requireImaPrefix(boot.imaEntries, pcr10, { bank: 'sha256' });
      expect({ entryCount, violationCount }).toEqual({ entryCount: boot.imaEntries.length, violationCount: 0 });
      expect(() => requireBootAggregate(boot.imaEntries, () => boot.pcrs)).not.toThrow();
    }
  });

  test('was measured from the initramfs to the agent and its plugins', () => {
    for (const { boot } of all()) {
      const programs = ['/init', '/bin/busybox', '/usr/sbin/init', '/usr/bin/node', AGENT];
      const plugins = ['memory', 'tpm', 'unix'].map((name) => `/opt/assayer/dist/plugins/agent-${name}.js`);
      expect([...boot.files.keys()]).toEqual(expect.arrayContaining([...programs, ...plugins]));
    }
  });
});

describe('a genuine boot', () => {
  test('attests, as the machine that its TPM is', () => {
    const { genuine, secondGenuine, again } = visits;
    for (const { hasAttested, agentLog } of [genuine, secondGenuine, again]) expect(hasAttested, agentLog).toBe(true);
    expect(agentId(genuine)).not.toBe(agentId(secondGenuine));
    expect(agentId(again)).toBe(agentId(secondGenuine));
  });

  test('is the same on two machines, and after changes were undone', () => {
    const { genuine, secondGenuine, again } = visits;
    for (const other of [secondGenuine, again]) {
      expect(other.boot.eventsUnlike(genuine.boot)).toEqual([]);
      expect(other.boot.bootPcrsUnlike(genuine.boot)).toEqual([]);
      expect(other.boot.filesUnlike(genuine.boot)).toEqual([]);
    }
  });

  test('has a workload with an identity, once there is an entry for the policy', () => {
    expect(visits.genuine.workload).toContain('no identity issued');
    expect(visits.again.workload).toContain('spiffe://example.org/workload');
  });

  test('meets the policy that was learned from the first one and its images', () => {
    const { genuine, secondGenuine, again } = visits;
    for (const { boot } of [genuine, secondGenuine, again]) {
      expect(judge([policy], boot.facts)).toMatchObject({ isMet: true, policy: 'golden', isImaJudged: true });
    }
  });

  test('gives the selectors that the TPM and the logs vouch for', async () => {
    const { again } = visits;
    const { agents } = await domain.server.admin(AgentDefinition).listAgents(ListAgentsRequest.fromPartial({}));
    const agent = agents.find(({ id }) => agentId(again)?.endsWith(id?.path ?? ' '));
    const values = agent?.selectors.map(({ value }) => value) ?? [];
    expect(values).toEqual(
      expect.arrayContaining([
        ...SELECTED_PCRS.map((index) => `pcr:sha256:${index}:${again.boot.pcr(index)}`),
        `kernel:cmdline:sha256:${hash('sha256', again.boot.commandLine)}`,
        `boot:loader:sha256:${policy.loaders?.[0]}`,
        'secure_boot:disabled',
        'policy:golden',
        'ima:enforced',
        'ima:policy:tcb',
      ]),
    );
  });
});

/** By the first rule that does not hold. */
function refusalOf({ boot }: Visit) {
  const verdict = judge([policy], boot.facts);
  return verdict.isMet ? undefined : verdict.refusals[0];
}

/** The peer learns no more than that it was refused, the operator by which rule on what. */
async function expectRefusal(refused: Visit, message: string): Promise<void> {
  expect(refused.hasAttested).toBe(false);
  expect(refused.agentLog).toContain(REFUSAL_FOR_PEER);
  expect(refused.agentLog).not.toContain('(check ');
  const refusals = domain.server.records.filter(({ fields }) => JSON.stringify(fields ?? {}).includes(message));
  expect(refusals, message).not.toEqual([]);
}

test('another command line is refused by the rule for it: PCR 9 differs, by the event of the command line', async () => {
  const { genuine, commandLine } = visits;
  expect(commandLine.boot.commandLine).toContain('mitigations=off');
  expect(commandLine.boot.bootPcrsUnlike(genuine.boot)).toEqual([9]);
  expect(commandLine.boot.eventsUnlike(genuine.boot)).toEqual(['PCR 9, command line: LOADED_IMAGE::LoadOptions']);
  expect(refusalOf(commandLine)).toMatchObject({ rule: 'P12', event: { pcr: 9, type: 'EV_EVENT_TAG' } });
  expect(refusalOf(commandLine)?.found).toContain('mitigations=off');
  await expectRefusal(commandLine, '(check P12)');
});

test('another initrd is refused by the rule for it: PCR 9 differs, by the event of the initrd', async () => {
  const { genuine, initrd } = visits;
  expect(initrd.boot.bootPcrsUnlike(genuine.boot)).toEqual([9]);
  expect(initrd.boot.eventsUnlike(genuine.boot)).toEqual(['PCR 9, initrd: Linux initrd']);
  expect(refusalOf(initrd)).toMatchObject({ rule: 'P10', event: { pcr: 9, type: 'EV_EVENT_TAG' } });
  await expectRefusal(initrd, '(check P10)');
});

test('another agent is refused by the rule for it: PCR 10 alone differs, by the entry of its file', async () => {
  const { genuine, agent } = visits;
  expect(agent.boot.eventsUnlike(genuine.boot)).toEqual([]);
  expect(agent.boot.bootPcrsUnlike(genuine.boot)).toEqual([]);
  expect(agent.boot.pcr(10)).not.toBe(genuine.boot.pcr(10));
  expect(agent.boot.filesUnlike(genuine.boot)).toEqual([AGENT]);
  expect(refusalOf(agent)).toMatchObject({ rule: 'E40', subject: `the file "${AGENT}"`, event: { pcr: 10 } });
  await expectRefusal(agent, '(check E40)');
});
