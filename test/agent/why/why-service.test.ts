import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, expect, test } from 'vitest';
import { compareEntries } from '../../../src/agent/why/compare-entries.ts';
import { toWhyResponse } from '../../../src/agent/why/to-why-response.ts';
import { type WhyServiceOptions, whyService } from '../../../src/agent/why/why-service.ts';
import { withoutOthersEntries } from '../../../src/agent/why/without-others-entries.ts';
import type { WorkloadFacts } from '../../../src/agent/why/workload-facts.ts';
import { WhyDefinition } from '../../../src/gen/assayer/agent/why/v1/why.ts';
import { Logger } from '../../../src/log/logger.ts';
import { RpcChannel } from '../../../src/rpc/channel.ts';
import { createClient } from '../../../src/rpc/client.ts';
import type { UnixPeer } from '../../../src/rpc/peer.ts';
import { RpcServer } from '../../../src/rpc/server.ts';
import { listenUnix } from '../../../src/rpc/unix-listener.ts';
import { parseSelector } from '../../../src/spiffe/selector.ts';
import { parseSpiffeId } from '../../../src/spiffe/spiffe-id.ts';
import { Status } from '../../../src/spiffe/status.ts';
import { parseTrustDomain } from '../../../src/spiffe/trust-domain.ts';
import { createTemporaryFolder } from '../../harness/temporary-folder.ts';
import { entryAtAgent } from '../entry-at-agent.ts';

// Who may ask about whom: root and the agent's user about every process, everybody else about their own.

const NOBODY = 65_534;
const log = new Logger(() => {});

const entry = (id: string, path: string, ...selectors: readonly string[]) =>
  entryAtAgent(id, path, { selectors: selectors.map(parseSelector) });

function factsOf({ pid, uid, gid }: Pick<UnixPeer, 'pid' | 'uid' | 'gid'>): WorkloadFacts {
  const selectors = ['unix:uid:1', 'docker:env:TOKEN=hidden'].map(parseSelector);
  const entries = [
    entry('own', '/own', 'unix:uid:1', 'docker:env:TOKEN=hidden'),
    entry('near', '/near', 'unix:uid:1', 'unix:gid:2'),
    entry('far', '/far', 'unix:gid:2', 'unix:path:/x'),
  ];
  return {
    now: new Date(),
    process: { pid, uid, gid },
    path: undefined,
    outcomes: [{ name: 'docker', selectors, error: undefined, answeredAt: new Date(), tookMs: 1 }],
    selectors,
    wanted: undefined,
    lastRefusal: undefined,
    agent: {
      id: parseSpiffeId('spiffe://example.org/spire/agent/join_token/1'),
      aliases: [],
      trustDomain: parseTrustDomain('example.org'),
      svidExpiresAt: undefined,
      entryCount: 3,
      syncedAt: undefined,
      syncingSince: undefined,
      nextSyncAt: undefined,
      failure: undefined,
      mustReattest: undefined,
      attestors: ['unix'],
    },
    entries: compareEntries(entries, selectors, 0).map((compared) => ({
      ...compared,
      svidExpiresAt: undefined,
      signingSince: undefined,
      refusal: undefined,
    })),
    entriesLeftOut: 0,
    counts: undefined,
    isHeldBack: false,
  };
}

/** Asks as `asker` about this process or another one. */
async function ask(asker: Partial<UnixPeer>, pid: number, options: Partial<WhyServiceOptions> = {}) {
  const [answer] = await askAtOnce(asker, pid, 1, options);
  if (answer?.status !== 'fulfilled') throw answer?.reason;
  return answer.value;
}

async function askAtOnce(
  asker: Partial<UnixPeer>,
  pid: number,
  times: number,
  options: Partial<WhyServiceOptions> = {},
) {
  await using folder = await createTemporaryFolder();
  const explainer = { explain: async (peer: UnixPeer) => factsOf(peer) };
  await using server = RpcServer.create({ services: [whyService({ explainer, ...options })], log });
  const path = folder.join('agent.sock');
  await using _ = await listenUnix({
    path,
    mode: 0o600,
    log,
    onConnection: (socket, peer) => server.accept(socket, { ...peer, ...asker }),
  });
  using channel = RpcChannel.unix(path);
  const client = createClient(WhyDefinition, channel);
  const explain = () => client.explainWorkload({ pid, spiffeId: '' }, { deadlineMs: 10_000 });
  return await Promise.allSettled(Array.from({ length: times }, explain));
}

const OWN = process.geteuid?.() ?? 0;

describe('the user of the agent, or root', () => {
  test('asks about any process, and sees the entries that nearly match', async () => {
    const { workload, entries } = await ask({}, process.ppid);
    expect(workload?.pid).toBe(process.ppid);
    expect(entries.map(({ id }) => id)).toEqual(['own', 'near']);
  });
});

describe('another user', () => {
  const other = { uid: NOBODY, gid: NOBODY };

  test('asks about itself, and sees the entries that are for it', async () => {
    const { entries, entriesLeftOut, findings } = await ask(other, 0);
    expect(entries.map(({ id }) => id)).toEqual(['own']);
    expect(entriesLeftOut).toBe(1);
    expect(JSON.stringify(findings)).not.toContain('near');
  });

  test.skipIf(OWN === NOBODY)('is refused what is about processes of others', async () => {
    await expect(ask(other, process.ppid)).rejects.toThrow(/is not of your user: ask as root/);
  });

  test.runIf(OWN === 0)('asks about a process of its own', async () => {
    const child = spawn('/bin/sleep', ['60'], { ...other, stdio: 'ignore' });
    await once(child, 'spawn');
    try {
      expect((await ask(other, child.pid ?? 0)).workload).toMatchObject({ pid: child.pid, uid: NOBODY });
    } finally {
      child.kill();
    }
  });

  test('is refused after many questions at once, and the user of the agent is not', async () => {
    const refused = {
      status: 'rejected',
      reason: expect.objectContaining({
        status: Status.ResourceExhausted,
        message: expect.stringContaining('wait a second'),
      }),
    };
    expect(await askAtOnce(other, 0, 200)).toContainEqual(refused); // not the last of them, where they take their time
    expect(await askAtOnce({}, 0, 40)).not.toContainEqual(refused);
  });

  test('is refused where it has become another program since it connected', async () => {
    await expect(ask({ ...other, isUnchanged: () => false }, process.ppid)).rejects.toThrow(/ask on the node itself/);
  });
});

const textOf = (answer: unknown) =>
  JSON.stringify(answer, (_key, value) => (typeof value === 'bigint' ? String(value) : value));

test('values of variables are for root and the user of the agent alone', async () => {
  const [own, other, ofAdminSocket] = [
    await ask({}, 0),
    await ask({ uid: NOBODY, gid: NOBODY }, 0),
    await ask({ uid: NOBODY, gid: NOBODY }, 0, { mayAskAll: () => true }),
  ];
  expect(textOf(own)).toContain('hidden');
  for (const answer of [other, ofAdminSocket]) {
    const text = textOf(answer);
    expect(text).not.toContain('hidden');
    expect(answer.workload?.selectors).toContainEqual({ type: 'docker', value: 'env:TOKEN=…' });
    expect(answer.entries[0]?.selectors).toContainEqual({ type: 'docker', value: 'env:TOKEN=…' });
  }
});

test('what is left out of an answer is counted', () => {
  const facts = factsOf({ pid: 1, uid: 1, gid: 1 });
  expect(toWhyResponse(withoutOthersEntries(facts)).entriesLeftOut).toBe(1);
});
