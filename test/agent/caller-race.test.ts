import { createHash } from 'node:crypto';
import { chmod, readFile, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { attestWorkload } from '../../src/agent/workloads/attest-workload.ts';
import { SpiffeWorkloadAPIDefinition, type X509SVIDResponse } from '../../src/gen/workload/workload.ts';
import { Logger } from '../../src/log/logger.ts';
import type { WorkloadAttestor } from '../../src/plugin-host/kinds/workload-attestor.ts';
import { ProcessFolder } from '../../src/plugins/process/process-folder.ts';
import { readProcessOwner } from '../../src/plugins/unix/process.ts';
import { createClient, type ServerStreamCall } from '../../src/rpc/client.ts';
import type { UnixPeer } from '../../src/rpc/peer.ts';
import { listenUnix } from '../../src/rpc/unix-listener.ts';
import { Status } from '../../src/spiffe/status.ts';
import { CallingProcess, OTHER_GROUP } from '../harness/calling-process.ts';
import type { TestAgent } from '../harness/running-agent.ts';
import { createTemporaryFolder } from '../harness/temporary-folder.ts';
import { TestDomain } from './test-domain.ts';
import { AS_WORKLOAD, firstOf } from './workload.ts';

/** Who calls, and whose identity it is after. */
const CALLER = 54_301;
const VICTIM = 54_302;

/** What somebody learns who reads /proc by number. */
function ownerByNumber(pid: number): number {
  using folder = ProcessFolder.open(pid);
  return readProcessOwner(folder).uid;
}

describe.runIf(process.getuid?.() === 0)('a number that is used again while its caller is looked at', () => {
  const { signal } = new AbortController();
  const log = new Logger(() => {});

  async function connectAs(uid: number) {
    const stack = new AsyncDisposableStack();
    const folder = stack.use(await createTemporaryFolder());
    await chmod(folder.path, 0o711);
    const connected = Promise.withResolvers<UnixPeer>();
    const socketPath = folder.join('s');
    stack.use(
      await listenUnix({
        path: socketPath,
        mode: 0o777,
        log,
        onConnection: (socket, peer) => {
          stack.defer(() => void socket.destroy());
          connected.resolve(peer);
        },
      }),
    );
    const relayPath = folder.join('relay');
    const caller = stack.use(await CallingProcess.start({ socketPath, relayPath, uid, successorUid: VICTIM }));
    return { caller, peer: await connected.promise, [Symbol.asyncDispose]: () => stack.disposeAsync() };
  }

  /** An attestor that goes by the number alone, as plugins do, and is slow enough to lose the race. */
  const slowAttestor = (meanwhile: () => Promise<void>, told: number[]): WorkloadAttestor => {
    const attest = async (pid: number) => {
      await meanwhile();
      told.push(ownerByNumber(pid));
      return [{ type: 'unix', value: `uid:${told.at(-1)}` }];
    };
    return { name: 'unix', attest, attestReference: async () => undefined };
  };

  test.each(['before', 'while'])('%s it is attested: it loses, though a reader of /proc is taken in', async (when) => {
    await using connection = await connectAs(CALLER);
    const { caller, peer } = connection;
    expect([peer.pid, peer.uid, ownerByNumber(peer.pid)]).toEqual([caller.pid, CALLER, CALLER]);
    const told: number[] = [];
    const reuse = () => caller.tell('reuse');
    if (when === 'before') await reuse();
    const attestors = [slowAttestor(when === 'before' ? async () => {} : reuse, told)];
    await expect(attestWorkload(peer, signal, { attestors, logSelectors: [], log })).rejects.toMatchObject({
      code: 'UNAUTHENTICATED',
      message: `the caller, process ${caller.pid}, has ended`,
    });
    expect(ownerByNumber(peer.pid)).toBe(VICTIM);
    expect(told).toEqual(when === 'before' ? [] : [VICTIM]);
  });

  test('what is read through the folder that was opened is of nobody else', async () => {
    await using connection = await connectAs(CALLER);
    using folder = ProcessFolder.open(connection.peer.pid);
    expect(readProcessOwner(folder).uid).toBe(CALLER);
    await connection.caller.tell('reuse');
    expect(ownerByNumber(connection.peer.pid)).toBe(VICTIM);
    expect(() => readProcessOwner(folder)).toThrow(/the process is gone$/);
    expect(() => folder.readLink('exe')).toThrow(/the process is gone$/);
  });
});

describe.runIf(process.getuid?.() === 0)('a connection that is left to another process', () => {
  let domain: TestDomain;
  let agent: TestAgent;
  let calls = 0;

  beforeAll(async () => {
    domain = await TestDomain.start();
    const python = await realpath('/usr/bin/python3');
    const hash = createHash('sha256').update(await readFile(python));
    const values = [`uid:${CALLER}`, `path:${python}`, `sha256:${hash.digest('hex')}`];
    await domain.createEntry('/caller', { selectors: values.map((value) => ({ type: 'unix', value })) });
    await domain.createEntry('/victim', { selectors: [{ type: 'unix', value: `uid:${VICTIM}` }] });
    await domain.createEntry('/member', { selectors: [{ type: 'unix', value: `supplementary_gid:${OTHER_GROUP}` }] });
    await domain.createEntry('/root', { selectors: [{ type: 'unix', value: 'uid:0' }] });
    agent = await domain.startAgent('agent', {
      experimental: 'workload_reattest_interval = "1s"',
      plugins: `KeyManager "memory" {}
        NodeAttestor "join_token" {}
        WorkloadAttestor "unix" { plugin_data { discover_workload_path = true } }`,
    });
    for (const folder of [domain.folder.path, join(domain.folder.path, 'agent')]) await chmod(folder, 0o711);
  });
  afterAll(async () => {
    await agent?.[Symbol.asyncDispose]();
    await domain?.[Symbol.asyncDispose]();
  });

  const call = async (uid: number) => {
    const { socketPath } = agent.running;
    const relayPath = domain.folder.join(`relay${++calls}`);
    return await CallingProcess.start({ socketPath, relayPath, uid, successorUid: VICTIM });
  };
  const follow = (caller: CallingProcess) =>
    createClient(SpiffeWorkloadAPIDefinition, caller.channel).fetchX509SVID({}, AS_WORKLOAD);
  const idsOf = (answer: X509SVIDResponse | undefined) =>
    answer?.svids.map(({ spiffeId }) => new URL(spiffeId).pathname);
  const nextIds = async (stream: ServerStreamCall<X509SVIDResponse>) => idsOf(await stream.receive());

  test('gets what the process that made it gets, while that lives', async () => {
    await using victim = await call(VICTIM);
    expect(idsOf(await firstOf(follow(victim)))).toEqual(['/victim']);
    await using caller = await call(CALLER);
    await using stream = follow(caller);
    expect(await nextIds(stream)).toEqual(['/caller']);
    await caller.tell('end');
    await expect(stream.receive()).rejects.toMatchObject({
      status: Status.Unauthenticated,
      message: expect.stringContaining(`the caller, process ${caller.pid}, has ended`),
    });
    const statusOfNext = () => firstOf(follow(caller)).catch(({ status }) => status);
    await expect.poll(statusOfNext).toBe(Status.Unavailable); // the connection is ended, too
  });

  test('gets nothing once another process has the number', async () => {
    await using caller = await call(CALLER);
    await caller.tell('reuse');
    expect(ownerByNumber(caller.pid)).toBe(VICTIM);
    await expect(firstOf(follow(caller))).rejects.toMatchObject({ status: expect.any(Number) });
  });

  test('is told nothing new once the process runs another program', async () => {
    await using caller = await call(CALLER);
    await using stream = follow(caller);
    expect(await nextIds(stream)).toEqual(['/caller']);
    await caller.tell('exec');
    const refused = expect(stream.receive()).rejects.toMatchObject({ status: Status.Unauthenticated });
    const id = await domain.createEntry('/news', { selectors: [{ type: 'unix', value: `uid:${CALLER}` }] });
    await refused;
    await domain.deleteEntry(id);
  });

  test('is attested again, and told of what the process is by then', async () => {
    await using caller = await call(0);
    await using stream = follow(caller);
    expect(await nextIds(stream)).toEqual(['/root']);
    await caller.tell('group');
    expect(await nextIds(stream)).toEqual(['/member', '/root']);
  });
});
