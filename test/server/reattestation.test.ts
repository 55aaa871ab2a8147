import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openDatastore } from '../../src/datastore/datastore.ts';
import { ReattestationDefinition } from '../../src/gen/assayer/server/reattest/v1/reattest.ts';
import { Logger } from '../../src/log/logger.ts';
import { applyVerdict, type Evidence } from '../../src/server/reattestation/apply-verdict.ts';
import { OverdueWatch } from '../../src/server/reattestation/overdue-watch.ts';
import { Reattestation } from '../../src/server/reattestation/reattestation-settings.ts';
import { VerdictHistory } from '../../src/server/reattestation/verdict-history.ts';
import type { VerdictNews } from '../../src/server/reattestation/verdict-webhooks.ts';
import { parseSpiffeId } from '../../src/spiffe/spiffe-id.ts';
import { Status } from '../../src/spiffe/status.ts';
import { MetricFilter } from '../../src/telemetry/metric-filter.ts';
import { Metrics } from '../../src/telemetry/metrics.ts';
import { parseCertificate } from '../../src/x509/certificate.ts';
import { TestServer } from '../harness/running-server.ts';
import { createTemporaryFolder } from '../harness/temporary-folder.ts';
import { type AgentCaller, attestByJoinToken } from './callers.ts';

const NOTHING_BLOCKED = new MetricFilter({
  allowedPrefixes: [],
  blockedPrefixes: [],
  allowedLabels: [],
  blockedLabels: [],
});
const agent = {
  spiffeId: parseSpiffeId('spiffe://example.org/spire/agent/tpm/a'),
  attestationType: 'tpm',
  serialNumber: '1',
  expiresAt: 9e9,
  newSerialNumber: '',
  newExpiresAt: 0,
  banned: false,
  canReattest: true,
  selectors: [
    { type: 'tpm', value: 'policy:golden' },
    { type: 'tpm', value: 'pub_hash:ab' },
  ],
  agentVersion: '',
  lastSeenAt: 0,
};
const good = (...values: string[]): Evidence => ({
  isProven: true,
  selectors: values.map((value) => ({ type: 'tpm', value })),
});
const refused: Evidence = { isProven: false, reason: 'policy "golden": event 7 is wrong' };

/** What was done to the agent. */
async function effects(evidence: Evidence, onChange: 'selectors' | 'ban' | 'warn', agentIdAsSelector = false) {
  const done: unknown[] = [];
  const verdict = await applyVerdict(agent, evidence, onChange, undefined, {
    agents: {
      update: async (_id, changes) => {
        done.push(changes.selectors?.map(({ value }) => value));
        return agent;
      },
      ban: async () => {
        done.push('banned');
      },
    },
    agentIdAsSelector,
    metrics: new Metrics({ prefix: 'server', labels: [], filter: NOTHING_BLOCKED }),
    log: new Logger(() => {}, 'error'),
  });
  return [verdict, ...done];
}

describe('what evidence comes to', () => {
  test.each([
    ['the same, in another order', good('pub_hash:ab', 'policy:golden'), 'ban', ['held']],
    [
      'other selectors of a policy',
      good('policy:golden', 'reset_count:2'),
      'ban',
      ['changed', ['policy:golden', 'reset_count:2']],
    ],
    ['another policy', good('policy:silver'), 'warn', ['changed', ['policy:silver']]],
    ['no policy any longer', good('pub_hash:ab'), 'selectors', ['lost', ['pub_hash:ab']]],
    ['no policy any longer', good('pub_hash:ab'), 'ban', ['lost', 'banned']],
    ['no policy any longer', good('pub_hash:ab'), 'warn', ['lost']],
    ['a refusal', refused, 'selectors', ['lost', []]],
    ['a refusal', refused, 'ban', ['lost', 'banned']],
    ['a refusal', refused, 'warn', ['lost']],
  ] as const)('%s', async (_what, evidence, onChange, expected) => {
    expect(await effects(evidence, onChange)).toEqual(expected);
  });

  test('an agent keeps its own ID as selector, whatever it loses', async () => {
    expect(await effects(refused, 'selectors', true)).toEqual(['lost', [agent.spiffeId]]);
  });
});

describe('an agent that is silent', () => {
  test.each([
    ['selectors', []],
    ['ban', []],
    ['warn', agent.selectors],
  ] as const)('loses what it does not prove any longer, once, and is not banned: %s', async (onChange, left) => {
    await using folder = await createTemporaryFolder();
    await using datastore = await openDatastore({ path: folder.join('datastore.sqlite3') });
    const { agents, verdicts } = datastore;
    const clock = () => new Date();
    const log = new Logger(() => {}, 'error');
    await agents.create(agent);
    const { spiffeId: agentId, selectors } = agent;
    const history = new VerdictHistory({
      verdicts,
      webhooks: { tell() {} },
      log,
      clock: () => new Date(Date.now() - 3_600_000),
    });
    await history.record({ agentId, attestor: 'tpm', verdict: 'held', selectors, evidenceSha256: '' });
    await using watch = OverdueWatch.start({
      agents,
      verdicts,
      history,
      settings: new Reattestation([
        { name: 'tpm', configuration: `reattest_interval = "1s"\non_change = "${onChange}"` },
      ]),
      agentIdAsSelector: false,
      leads: () => true,
      metrics: new Metrics({ prefix: 'server', labels: [], filter: NOTHING_BLOCKED }),
      log,
      clock,
    });
    await watch.look(1000); // agents had nobody to show evidence to
    expect((await agents.get(agentId)).selectors).toEqual(selectors);
    await watch.look(3_600_000);
    await watch.look(3_600_000);
    expect(await agents.get(agentId)).toMatchObject({ selectors: left, banned: false });
    expect((await verdicts.list(agentId, 10)).map(({ verdict, count }) => [verdict, count])).toEqual([
      ['overdue', 1],
      ['held', 1],
    ]);
  });
});

test('an agent that nobody asked, or asked less often, is not silent', async () => {
  await using folder = await createTemporaryFolder();
  await using datastore = await openDatastore({ path: folder.join('datastore.sqlite3') });
  const { agents, verdicts } = datastore;
  const log = new Logger(() => {}, 'error');
  const clock = () => new Date();
  const attestor = { name: 'tpm', configuration: '' };
  const asked: number[] = [];
  let upMs = 0;
  await using watch = OverdueWatch.start({
    agents,
    verdicts: {
      overdue: async (...question) => {
        asked.push(upMs);
        return await verdicts.overdue(...question);
      },
    },
    history: new VerdictHistory({ verdicts, webhooks: { tell() {} }, log, clock }),
    settings: new Reattestation([attestor]),
    agentIdAsSelector: false,
    leads: () => true,
    metrics: new Metrics({ prefix: 'server', labels: [], filter: NOTHING_BLOCKED }),
    log,
    clock,
  });
  const lookAt = async (ms: number) => {
    upMs = ms;
    await watch.look(ms);
  };
  await lookAt(1_000_000);
  attestor.configuration = 'reattest_interval = "10s"';
  await lookAt(2_000_000);
  await lookAt(2_509_999); // five minutes until an agent asks again, three intervals, three minutes
  expect(asked).toEqual([]);
  await lookAt(2_510_000);
  attestor.configuration = 'reattest_interval = "1s"';
  await lookAt(3_000_000);
  await lookAt(3_182_999);
  expect(asked).toEqual([2_510_000]);
  await lookAt(3_183_000);
  expect(asked).toEqual([2_510_000, 3_183_000]);
});

test('what is as before is written now and then, and counted', async () => {
  const written: unknown[] = [];
  const verdicts = {
    record: async ({ verdict, count }: { verdict: string; count: number }) => {
      written.push([verdict, count]);
      return { isChange: verdict !== 'held', before: { verdict: 'held', policies: [] } };
    },
  };
  const told: string[] = [];
  const webhooks = { tell: ({ attestor, verdict }: VerdictNews) => void told.push(`${attestor}: ${verdict}`) };
  const log = new Logger(() => {}, 'error');
  const history = new VerdictHistory({ verdicts, webhooks, log, clock: () => new Date() });
  const record = (verdict: 'held' | 'lost') =>
    history.record({
      agentId: agent.spiffeId,
      attestor: 'tpm',
      verdict,
      selectors: agent.selectors,
      evidenceSha256: '',
    });
  for (const verdict of ['held', 'held', 'held', 'lost', 'held'] as const) await record(verdict);
  expect(written).toEqual([
    ['held', 1],
    ['lost', 1],
    ['held', 1],
  ]);
  expect(told).toEqual(['tpm: lost']);
});

describe('the settings of an attestor', () => {
  const of = (configuration: string) => new Reattestation([{ name: 'tpm', configuration }]).find('tpm');
  test.each([
    ['reattest_interval = "1s"', { intervalMs: 1000, onChange: 'selectors' }],
    [
      'reattest_interval = "2m"\non_change = "ban"\npolicy "a" { secure_boot {} }',
      { intervalMs: 120_000, onChange: 'ban' },
    ],
    [
      'reattest_interval = "2m"\nverdict_webhook = "https://example.org/hook"',
      { intervalMs: 120_000, onChange: 'selectors', webhook: 'https://example.org/hook' },
    ],
    ['', undefined],
    ['reattest_interval = "1ms"', undefined],
  ])('%j', (text, expected) => {
    expect(of(text)).toEqual(expected);
  });
  test('are those of what it is configured with at the moment', () => {
    const attestor = { name: 'tpm', configuration: '' };
    const reattestation = new Reattestation([attestor, { name: 'other', configuration: 'reattest_interval = "9s"' }]);
    expect(reattestation.find('tpm')).toBeUndefined();
    expect([...reattestation.all.keys()]).toEqual(['other']);
    attestor.configuration = 'reattest_interval = "3s"';
    expect(reattestation.find('tpm')).toEqual({ intervalMs: 3000, onChange: 'selectors' });
    expect([...reattestation.all.keys()]).toEqual(['tpm', 'other']);
    expect(reattestation.find('nobody')).toBeUndefined();
  });

  test('of an attestor that is part of the server are in the configuration file, and those of other plugins do not count', () => {
    const plugin = (type: string, name: string, enabled = true) => {
      return { type, name, args: [], data: { text: 'reattest_interval = "1s"' }, enabled, autoMtls: false };
    };
    const plugins = [
      plugin('NodeAttestor', 'join_token'),
      plugin('KeyManager', 'tpm'),
      plugin('NodeAttestor', 'off', false),
      plugin('NodeAttestor', 'loaded'),
    ];
    const { all } = Reattestation.of(plugins, [{ name: 'loaded', configuration: '' }]);
    expect([...all.keys()]).toEqual(['join_token']);
  });
});

function publicKeyOf({ svid }: AgentCaller): Uint8Array {
  return parseCertificate(svid.certChain[0] ?? new Uint8Array(0)).subjectPublicKeyInfo;
}

describe('the service', () => {
  const resources = new AsyncDisposableStack();
  let server: TestServer;
  beforeAll(async () => {
    const folder = resources.use(await createTemporaryFolder());
    const plugins = 'KeyManager "memory" {}\n NodeAttestor "join_token" { plugin_data { reattest_interval = "1s" } }';
    server = resources.use(await TestServer.start({ folder: folder.path, plugins }));
  });
  afterAll(() => resources.disposeAsync());

  test('asks an agent for evidence bound to the key that it shows, and holds what is refused against it', async () => {
    const caller = await attestByJoinToken(server);
    await using call = caller.client(ReattestationDefinition).reattest({ deadlineMs: 30_000 });
    const begin = (await call.receive())?.step;
    const publicKeySha256 = begin?.$case === 'begin' ? Buffer.from(begin.value.publicKeySha256) : Buffer.alloc(0);
    expect(begin).toMatchObject({ $case: 'begin', value: { intervalSeconds: 1 } });
    expect(publicKeySha256.equals(createHash('sha256').update(publicKeyOf(caller)).digest())).toBe(true);
    await call.send({ step: { $case: 'payload', value: Buffer.from('a token that was used') } });
    expect((await call.receive())?.step).toEqual({ $case: 'verdict', value: { holds: false } });
    expect((await call.receive())?.step?.$case).toBe('begin');
    await call.send({ step: { $case: 'challengeResponse', value: Buffer.from('x') } });
    await expect(call.receive()).rejects.toMatchObject({ status: Status.FailedPrecondition });
  });
});
