import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { AgentDefinition } from '../../src/gen/spire/api/server/agent/v1/agent.ts';
import { BundleDefinition } from '../../src/gen/spire/api/server/bundle/v1/bundle.ts';
import { EntryDefinition } from '../../src/gen/spire/api/server/entry/v1/entry.ts';
import { Entry, EntryMask } from '../../src/gen/spire/api/types/types.ts';
import { authoritySteps } from '../harness/authority-steps.ts';
import { eventually } from '../harness/eventually.ts';
import { PostgresServer } from '../harness/postgres-server.ts';
import { TestServer } from '../harness/running-server.ts';
import { shownSerialOverHttp2 } from '../harness/shown-certificate.ts';
import { createTemporaryFolder } from '../harness/temporary-folder.ts';
import { apiId, attestByJoinToken, newJoinToken, renew } from './callers.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 120_000 });

const SOON = { timeout: 20_000, interval: 20 };
const stack = new AsyncDisposableStack();
let datastore: string;
let a: TestServer;
let b: TestServer;

async function start(settings = '', port = 0): Promise<TestServer> {
  const folder = stack.use(await createTemporaryFolder());
  return stack.use(await TestServer.start({ folder: folder.path, datastore, settings, port }));
}

beforeAll(async () => {
  const postgres = stack.use(await PostgresServer.start({ settings: ['fsync = off'] }));
  datastore = `database_type = "postgres" connection_string = "${postgres.connectionString()}"`;
  [a, b] = [await start(), await start()];
  await vi.waitUntil(() => cas(a).length === 2 && cas(b).length === 2, SOON);
});
afterAll(() => stack.disposeAsync());

const cas = (server: TestServer) =>
  server.running.bundle.x509Authorities
    .map(({ certificate, tainted }) => `${Buffer.from(certificate).toString('hex')}${tainted ? ' tainted' : ''}`)
    .sort();

describe('two servers on one PostgreSQL', () => {
  test('of several agents with one join token at both, one is attested', async () => {
    for (let round = 0; round < 6; round += 1) {
      const token = await newJoinToken(a);
      const outcomes = await Promise.allSettled([a, b, a, b].map((server) => attestByJoinToken(server, token)));
      expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
      for (const outcome of outcomes) {
        if (outcome.status === 'fulfilled') outcome.value[Symbol.dispose]();
        else
          expect(outcome.reason).toMatchObject({
            message: expect.stringMatching(/join token does not exist or has already been used/),
          });
      }
    }
  });

  test('an SVID that one renewed is used at the other, and the one before counts no more at either', async () => {
    using before = await attestByJoinToken(a);
    const renewed = await renew(a, before);
    using after = renewed.at(b);
    await after.client(EntryDefinition).getAuthorizedEntries({ outputMask: undefined });
    await expect(before.client(EntryDefinition).getAuthorizedEntries({ outputMask: undefined })).rejects.toThrow();
    using movedBefore = before.at(b);
    await expect(movedBefore.client(EntryDefinition).getAuthorizedEntries({ outputMask: undefined })).rejects.toThrow();
    renewed[Symbol.dispose]();
  });

  test('an entry that is created, changed and deleted at one is so at the other', async () => {
    using agent = await attestByJoinToken(b);
    const hints = async () => {
      const { entries } = await agent.client(EntryDefinition).getAuthorizedEntries({ outputMask: undefined });
      return entries.map(({ hint }) => hint);
    };
    const entry = Entry.fromPartial({
      spiffeId: apiId('/workload'),
      parentId: agent.id,
      selectors: [{ type: 'unix', value: 'uid:1' }],
      hint: 'first',
    });
    const api = a.admin(EntryDefinition);
    const { results } = await api.batchCreateEntry({ entries: [entry], outputMask: undefined });
    const id = results[0]?.entry?.id ?? '';
    await expect.poll(hints).toEqual(['first']);
    await api.batchUpdateEntry({
      entries: [Entry.fromPartial({ id, hint: 'second' })],
      inputMask: EntryMask.fromPartial({ hint: true }),
      outputMask: undefined,
    });
    await expect.poll(hints).toEqual(['second']);
    await api.batchDeleteEntry({ ids: [id] });
    await expect.poll(hints).toEqual([]);
  });

  test('a CA that is made, tainted and revoked at one is so in the bundle of the other', async () => {
    const steps = authoritySteps(a, 'X509');
    const old = await steps.active();
    const next = await steps.prepare();
    await expect.poll(() => cas(b)).toHaveLength(3);
    await steps.activate(next);
    await steps.taint(old);
    await expect.poll(() => cas(b).filter((ca) => ca.endsWith('tainted'))).toHaveLength(1);
    await steps.revoke(old);
    await expect.poll(() => cas(b)).toHaveLength(2);
    expect(cas(b)).toEqual(cas(a));
    expect(cas(b).filter((ca) => ca.endsWith('tainted'))).toEqual([]);
    // By the new CA, once the server itself has an SVID of it.
    using agent = await eventually(() => attestByJoinToken(a));
    using moved = agent.at(b);
    await moved.client(EntryDefinition).getAuthorizedEntries({ outputMask: undefined });
  });

  test('a federated bundle that is set at one is there at the other', async () => {
    const bundle = {
      trustDomain: 'alpha.test',
      x509Authorities: [],
      jwtAuthorities: [],
      refreshHint: 5n,
      sequenceNumber: 1n,
      witAuthorities: [],
    };
    await a.admin(BundleDefinition).batchSetFederatedBundle({ bundle: [bundle], outputMask: undefined });
    const find = () =>
      b.admin(BundleDefinition).getFederatedBundle({ trustDomain: 'alpha.test', outputMask: undefined });
    expect(await eventually(find)).toMatchObject({ trustDomain: 'alpha.test', refreshHint: 5n });
  });

  test('an agent that is banned at one is refused at the other', async () => {
    using agent = await attestByJoinToken(b);
    await a.admin(AgentDefinition).banAgent({ id: agent.id });
    await expect(agent.client(EntryDefinition).getAuthorizedEntries({ outputMask: undefined })).rejects.toMatchObject({
      status: 7,
      message: expect.stringMatching(/banned/),
    });
  });
});

describe('two servers on one PostgreSQL at one port', () => {
  test('both accept, and when one stops the other accepts all', async () => {
    const first = await start('bind_reuse_port = true');
    const { port } = first.running;
    await expect(start('', port)).rejects.toThrow(/port \d+: it is in use/);
    const second = await start('bind_reuse_port = true', port);
    const whoAccepts = async () => {
      const peers = await Promise.all(Array.from({ length: 48 }, () => shownSerialOverHttp2(port)));
      return [...new Set(peers)].sort();
    };
    const both = await whoAccepts();
    expect(both).toHaveLength(2);
    await first[Symbol.asyncDispose]();
    const left = await whoAccepts();
    expect(left).toHaveLength(1);
    expect(both).toContain(left[0]);
    using agent = await attestByJoinToken(second);
    await agent.client(EntryDefinition).getAuthorizedEntries({ outputMask: undefined });
  });
});
