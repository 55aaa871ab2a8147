import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { afterEach, beforeEach, expect, onTestFinished, test } from 'vitest';
import { AgentDefinition } from '../../../src/gen/spire/api/server/agent/v1/agent.ts';
import { SVIDDefinition } from '../../../src/gen/spire/api/server/svid/v1/svid.ts';
import { RemoteError } from '../../../src/rpc/status.ts';
import { Status } from '../../../src/spiffe/status.ts';
import { TestServer } from '../../harness/running-server.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../../harness/temporary-folder.ts';
import { attestByJoinToken, newCsr, TlsCaller } from '../callers.ts';

// What a caller sees of the limits. One attestation a second is the only limit that a test reaches without effort.
let folder: TemporaryFolder;
beforeEach(async () => {
  folder = await createTemporaryFolder();
});
afterEach(() => folder[Symbol.asyncDispose]());

/** Less than the line of twelve is long. */
const POLL = { timeout: 6_000, interval: 50 };
const post = { agentVersion: '', currentBundleSerial: 0n };
const wrong = {
  data: { type: 'join_token', payload: Buffer.from('no such token') },
  params: { csr: new Uint8Array() },
};

/** Attests with a token that there is none of, so that only the limit tells attempts apart. @returns the status */
async function attempt(caller: TlsCaller, deadlineMs?: number): Promise<Status> {
  await using call = caller.client(AgentDefinition).attestAgent(deadlineMs === undefined ? {} : { deadlineMs });
  try {
    await call.send({ step: { $case: 'params', value: wrong } });
    await call.receive();
    return Status.Ok;
  } catch (error) {
    return error instanceof RemoteError ? error.status : Status.Unknown;
  }
}

/** A way to the server from an address of its own choice, with a header of the PROXY protocol where one is given. */
async function callerFrom(server: TestServer, localAddress: string, header = ''): Promise<TlsCaller> {
  const relay = createServer((incoming) => {
    const outgoing = connect({ port: server.running.port, host: '127.0.0.1', localAddress });
    incoming.on('error', () => outgoing.destroy());
    outgoing.on('error', () => incoming.destroy());
    outgoing.write(header);
    incoming.pipe(outgoing).pipe(incoming);
  });
  relay.listen(0, '127.0.0.1');
  await once(relay, 'listening');
  const bound = relay.address();
  const caller = new TlsCaller(server, undefined, typeof bound === 'object' ? bound?.port : undefined);
  onTestFinished(() => {
    caller[Symbol.dispose]();
    relay.close();
  });
  return caller;
}

test('one that attests too often waits, and nobody else does', async () => {
  await using server = await TestServer.start({ folder: folder.path, rateLimits: true });
  const often = await callerFrom(server, '127.0.0.6');
  const other = await callerFrom(server, '127.0.0.7');
  const ended: string[] = [];
  const note = (who: string) => (status: Status) => ended.push(`${who} ${status}`);
  const flood = [1, 2, 3, 4].map(() => attempt(often).then(note('often')));
  await Promise.race(flood); // the first took what there was
  await attempt(other).then(note('other'));
  expect(ended.length).toBeLessThan(5);
  await Promise.all(flood);
  expect(ended.toSorted()).toEqual([
    ...Array(4).fill(`often ${Status.InvalidArgument}`),
    `other ${Status.InvalidArgument}`,
  ]);
});

test('one whose deadline comes before its turn is refused at once, and one that leaves makes room', async () => {
  await using server = await TestServer.start({ folder: folder.path, rateLimits: true });
  using caller = new TlsCaller(server);
  await attempt(caller);
  using crowd = new DisposableStack();
  const waiting = [1, 2, 3].flatMap(() => {
    const client = crowd.use(new TlsCaller(server)).client(AgentDefinition);
    return [1, 2, 3, 4].map(() => client.attestAgent());
  });
  for (const call of waiting) await call.send({ step: { $case: 'params', value: wrong } });
  await expect.poll(() => attempt(caller, 3_000), POLL).toBe(Status.ResourceExhausted); // all of them are in line
  for (const call of waiting) await call[Symbol.asyncDispose]();
  await expect.poll(() => attempt(caller, 1_500), POLL).toBe(Status.InvalidArgument);
});

test('agents are refused more signatures at once than the limit, with SPIRE’s code', async () => {
  await using server = await TestServer.start({ folder: folder.path, rateLimits: true });
  using agent = await attestByJoinToken(server);
  const params = Array.from({ length: 501 }, () => ({ entryId: 'x', csr: new Uint8Array() }));
  const svids = agent.client(SVIDDefinition);
  await expect(svids.batchNewX509SVID({ params })).rejects.toMatchObject({ status: Status.ResourceExhausted });
  const { results } = await svids.batchNewX509SVID({ params: params.slice(1) });
  expect(results).toHaveLength(500);
  for (let count = 0; count < 12; count += 1) await agent.client(AgentDefinition).postStatus(post); // 10 at once
});

test('the admin socket has no limits', async () => {
  await using server = await TestServer.start({ folder: folder.path, rateLimits: true });
  const client = server.admin(AgentDefinition);
  for (let count = 0; count < 5; count += 1) {
    await using call = client.attestAgent({ deadlineMs: 900 });
    await call.send({ step: { $case: 'params', value: wrong } });
    await expect(call.receive()).rejects.toMatchObject({ status: Status.InvalidArgument });
  }
});

test('what is switched off does not limit', async () => {
  await using server = await TestServer.start({ folder: folder.path });
  using caller = new TlsCaller(server);
  for (let count = 0; count < 5; count += 1) expect(await attempt(caller, 900)).toBe(Status.InvalidArgument);
});

test('clients behind a trusted proxy are told apart by their own addresses, which the log has', async () => {
  const settings = 'proxy_protocol_trusted_cidrs = ["127.0.0.5/32"]';
  await using server = await TestServer.start({ folder: folder.path, rateLimits: true, settings });
  const header = (address: string) => `PROXY TCP4 ${address} 192.0.2.1 40000 8081\r\n`;
  const { csr } = await newCsr();
  for (const last of [7, 8, 9]) {
    const caller = await callerFrom(server, '127.0.0.5', header(`192.0.2.${last}`));
    await using call = caller.client(AgentDefinition).attestAgent({ deadlineMs: 10_000 });
    await call.send({ step: { $case: 'params', value: { data: wrong.data, params: { csr } } } });
    await call.receive().catch(() => {});
  }
  const refused = server.records.filter(({ message }) => message === 'agent refused');
  expect(refused.map(({ fields }) => fields.address)).toEqual(['192.0.2.7', '192.0.2.8', '192.0.2.9']);
  const again = await callerFrom(server, '127.0.0.5', header('192.0.2.9'));
  expect(await Promise.all([attempt(again, 900), attempt(again, 900)])).toContain(Status.ResourceExhausted);
});
