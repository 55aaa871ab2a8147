import { expect, test } from 'vitest';
import { openDatastore } from '../../../src/datastore/datastore.ts';
import { AgentDefinition } from '../../../src/gen/spire/api/server/agent/v1/agent.ts';
import { EntryDefinition } from '../../../src/gen/spire/api/server/entry/v1/entry.ts';
import { parseSpiffeId } from '../../../src/spiffe/spiffe-id.ts';
import { Status } from '../../../src/spiffe/status.ts';
import { TestServer } from '../../harness/running-server.ts';
import { createTemporaryFolder } from '../../harness/temporary-folder.ts';
import { type AgentCaller, attestByJoinToken, renew } from '../callers.ts';

const outputMask = undefined;
const codeOf = (agent: AgentCaller) =>
  agent
    .client(EntryDefinition)
    .getAuthorizedEntries({ outputMask })
    .then(
      () => Status.Ok,
      ({ status }: { status: number }) => status,
    );

/** By somebody of whom the server does not hear, as another server whose word is lost would. */
async function banUnheard(server: TestServer, agent: AgentCaller): Promise<void> {
  await using datastore = await openDatastore({ path: server.datastorePath });
  await datastore.agents.ban(parseSpiffeId(agent.spiffeId));
}

test('without max_attested_node_info_staleness every call looks at the agent anew (C032)', async () => {
  await using folder = await createTemporaryFolder();
  await using server = await TestServer.start({ folder: folder.path });
  using agent = await attestByJoinToken(server);
  expect(await codeOf(agent)).toBe(Status.Ok);
  await banUnheard(server, agent);
  expect(await codeOf(agent)).toBe(Status.PermissionDenied);
});

test('with it an agent counts as it was, until the server hears of a change', async () => {
  await using folder = await createTemporaryFolder();
  const settings = 'max_attested_node_info_staleness = "1h"';
  await using server = await TestServer.start({ folder: folder.path, settings });
  using agent = await attestByJoinToken(server);
  using other = await attestByJoinToken(server);
  expect(await codeOf(agent)).toBe(Status.Ok);
  await banUnheard(server, agent);
  expect(await codeOf(agent)).toBe(Status.Ok);
  expect(await codeOf(other)).toBe(Status.Ok);
  await server.admin(AgentDefinition).banAgent({ id: other.id });
  expect(await codeOf(other)).toBe(Status.PermissionDenied);
  expect(await codeOf(agent)).toBe(Status.PermissionDenied);
});

test('with it a renewed SVID is taken, and the one before is not any longer', async () => {
  await using folder = await createTemporaryFolder();
  const settings = 'max_attested_node_info_staleness = "1h"';
  await using server = await TestServer.start({ folder: folder.path, settings });
  using agent = await attestByJoinToken(server);
  expect(await codeOf(agent)).toBe(Status.Ok);
  using renewed = await renew(server, agent);
  expect(await codeOf(agent)).toBe(Status.Ok);
  expect(await codeOf(renewed)).toBe(Status.Ok);
  expect(await codeOf(agent)).toBe(Status.PermissionDenied);
});

test('once it is over, the agent is looked at again', async () => {
  await using folder = await createTemporaryFolder();
  const settings = 'max_attested_node_info_staleness = "1ms"';
  await using server = await TestServer.start({ folder: folder.path, settings });
  using agent = await attestByJoinToken(server);
  expect(await codeOf(agent)).toBe(Status.Ok);
  await banUnheard(server, agent);
  await expect.poll(() => codeOf(agent)).toBe(Status.PermissionDenied);
});
