import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openDatastore } from '../../src/datastore/datastore.ts';
import { AgentDefinition } from '../../src/gen/spire/api/server/agent/v1/agent.ts';
import { TestServer } from '../harness/running-server.ts';
import { createTemporaryFolder } from '../harness/temporary-folder.ts';
import { attestByJoinToken, newCsr, newJoinToken, TlsCaller } from '../server/callers.ts';
import { runCli } from './run-cli.ts';

const resources = new AsyncDisposableStack();
let server: TestServer;

beforeAll(async () => {
  const folder = resources.use(await createTemporaryFolder());
  server = resources.use(await TestServer.start({ folder: folder.path }));
});
afterAll(() => resources.disposeAsync());

const run = async (...args: readonly string[]) =>
  await runCli(['server', 'agent', 'attempts', ...args, '-socketPath', server.running.socketPath]);
const list = async (...args: readonly string[]) => JSON.parse((await run(...args, '-output', 'json')).stdout).attempts;

async function tryWith(type: string, payload: string): Promise<void> {
  using anonymous = new TlsCaller(server);
  const { csr } = await newCsr();
  await using call = anonymous.client(AgentDefinition).attestAgent();
  await call.send({
    step: { $case: 'params', value: { data: { type, payload: Buffer.from(payload) }, params: { csr } } },
  });
  call.end();
  await expect(call.receive()).rejects.toThrow();
}

test('an attempt that was refused is there with its reason, and without its token', async () => {
  expect((await run()).stdout).toBe('No attempts found\n');
  const token = randomUUID();
  await tryWith('join_token', token);
  await tryWith('join_token', token);
  const { stdout } = await run();
  expect(stdout).toMatch(
    /^Found 1 kind of attempt:\n\nLast time {9}: \S+ \S+ \+0000 UTC\nFirst time {8}: .*\nTimes {13}: 2\nAttestation type {2}: join_token\nAddress {11}: 127\.0\.0\.1\nReason {12}: failed to attest: join token does not exist or has already been used\n\n$/,
  );
  expect(stdout).not.toContain(token);
});

test('choose by attestor and address', async () => {
  await tryWith('nothing', 'secret-payload');
  expect(await list('-attestationType', 'nothing')).toMatchObject([
    {
      attestation_type: 'nothing',
      attested: false,
      count: '1',
      reason: 'no NodeAttestor "nothing" is configured on the server',
    },
  ]);
  expect(await list('-attestationType', 'nothing', '-address', '192.0.2.1')).toEqual([]);
  expect(await list('-limit', '1')).toHaveLength(1);
});

test('an agent that is banned is named', async () => {
  const token = await newJoinToken(server);
  using agent = await attestByJoinToken(server, token);
  expect(await list('-attested')).toMatchObject([{ agent_id: agent.spiffeId, reason: '', attested: true }]);
  await server.admin(AgentDefinition).banAgent({ id: agent.id });
  // A token of the same name would make the same agent; the server makes none.
  await using datastore = await openDatastore({ path: server.datastorePath });
  await datastore.joinTokens.create({ token, expiresAt: Math.floor(Date.now() / 1000) + 60 });
  await tryWith('join_token', token);
  const banned = (await list('-attestationType', 'join_token')).find(
    ({ agent_id }: { agent_id: string }) => agent_id === agent.spiffeId,
  );
  expect(banned).toMatchObject({ reason: `failed to attest: agent "${agent.spiffeId}" is banned` });
});

test('a call without parameters is one, too', async () => {
  using anonymous = new TlsCaller(server);
  await using call = anonymous.client(AgentDefinition).attestAgent();
  await call.send({ step: { $case: 'challengeResponse', value: new Uint8Array() } });
  await expect(call.receive()).rejects.toThrow();
  const kept = { attestation_type: '', reason: expect.stringContaining('parameters') };
  expect(await list()).toContainEqual(expect.objectContaining(kept)); // in no order within a second
});
