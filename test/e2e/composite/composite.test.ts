import { generateKeyPairSync } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { Offer, StageAnswer, StageChallenge } from '../../../src/gen/assayer/attestation/composite/v1/composite.ts';
import { AgentDefinition } from '../../../src/gen/spire/api/server/agent/v1/agent.ts';
import type { Agent } from '../../../src/gen/spire/api/types/types.ts';
import { type Swtpm, startSwtpm } from '../../../src/testing/swtpm.ts';
import { createCsr } from '../../../src/x509/csr.ts';
import { signerOfKeyObject } from '../../../src/x509/signer.ts';
import { TestDomain } from '../../agent/test-domain.ts';
import { TestAgent } from '../../harness/running-agent.ts';
import { attestAgent } from '../attest-agent.ts';

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

const badge = (side: string) =>
  `plugin_cmd = "${process.execPath}" plugin_args = ["${fileURLToPath(new URL(`badge-${side}.ts`, import.meta.url))}"]`;
const resources = new AsyncDisposableStack();
let tpm: Swtpm;
let domain: TestDomain;

beforeAll(async () => {
  tpm = resources.use(await startSwtpm({ ek: ['ec-p384'] }));
  domain = resources.use(
    await TestDomain.start({
      plugins: `KeyManager "memory" {}
  NodeAttestor "join_token" {}
  NodeAttestor "tpm" { plugin_data { ca_path = "${tpm.caPath}" } }
  NodeAttestor "badge" { ${badge('server')} }
  NodeAttestor "composite" { plugin_data {
    expression = "tpm && (badge || join_token)"
    agent_id_from = "tpm"
  } }`,
    }),
  );
});
afterAll(() => resources.disposeAsync());

interface Offered {
  readonly word?: string;
  readonly joinToken?: string;
  /** In the place of the composite attestation of all that there is. */
  readonly attestors?: string;
}

let started = 0;

function startAgent({ word, joinToken, attestors }: Offered): Promise<TestAgent> {
  started += 1;
  const ofTpm = `NodeAttestor "tpm" { plugin_data { tcti = "${tpm.tcti}" } }`;
  const ofBadge =
    word === undefined
      ? ''
      : `NodeAttestor "badge" { ${badge('agent')} plugin_data { name = "machine-7" word = "${word}" } }`;
  return TestAgent.start({
    folder: domain.folder.join(`agent-${started}`),
    serverPort: domain.port,
    settings: `trust_bundle_path = "${domain.bundlePath}"\n${joinToken === undefined ? '' : `join_token = "${joinToken}"`}`,
    plugins: `KeyManager "memory" {}
  ${attestors ?? `NodeAttestor "composite" {}\n  ${ofTpm}\n  ${ofBadge}`}
  WorkloadAttestor "unix" {}`,
  });
}

async function agents(): Promise<readonly Agent[]> {
  const answer = await domain.server
    .admin(AgentDefinition)
    .listAgents({ filter: undefined, outputMask: undefined, pageSize: 0, pageToken: '' });
  return answer.agents;
}

const pathsOf = (found: readonly Agent[]) => found.map(({ id }) => id?.path ?? '').toSorted();
const evict = (path: string) =>
  domain.server.admin(AgentDefinition).deleteAgent({ id: { trustDomain: 'example.org', path } });

const BADGE = '/spire/agent/badge/machine-7';

test('a node attests by all of its attestors in one attestation, later ones told what earlier ones found', async () => {
  await using agent = await startAgent({ word: 'swordfish' });
  const { agentId } = agent.running;
  expect(agentId).toMatch(/^spiffe:\/\/example\.org\/spire\/agent\/tpm\//);
  const found = await agents();
  const own = found.find(({ id }) => `spiffe://example.org${id?.path}` === agentId);
  const selectors = (own?.selectors ?? []).map(({ type, value }) => `${type}:${value}`);
  expect(own).toMatchObject({ attestationType: 'composite', canReattest: false });
  expect(selectors).toContainEqual(expect.stringMatching(/^tpm:pub_hash:/));
  expect(selectors.filter((text) => text.startsWith('badge:'))).toEqual(['badge:known', 'badge:after:tpm']);
  expect(pathsOf(found)).toContain(BADGE);
});

test('what can be shown once lets nobody in a second time, until its agent is evicted', async () => {
  await expect(startAgent({ word: 'swordfish' })).rejects.toThrow(
    /what "spiffe:\/\/example\.org\/spire\/agent\/badge\/machine-7" is named for has attested already: "assayer server agent evict/,
  );
  await evict(BADGE);
  await using agent = await startAgent({ word: 'swordfish' });
  expect(agent.running.agentId).toContain('/spire/agent/tpm/');
  await evict(BADGE);
});

test('whoever is banned by one attestor does not get in by another', async () => {
  {
    await using _agent = await startAgent({ word: 'swordfish' });
  }
  await domain.server.admin(AgentDefinition).banAgent({ id: { trustDomain: 'example.org', path: BADGE } });
  await expect(startAgent({ word: 'swordfish' })).rejects.toThrow(/agent "spiffe:.*machine-7" is banned/);
  await evict(BADGE);
});

test('one that is forged refuses the whole, though the rest would be enough; a join token stays unused', async () => {
  for (const { id } of await agents()) await evict(id?.path ?? '');
  const joinToken = await domain.createToken();
  await expect(startAgent({ word: 'open sesame', joinToken })).rejects.toThrow(
    /nodeattestor\(badge\): that is not the word/,
  );
  expect(await agents()).toEqual([]);
  {
    await using agent = await startAgent({ joinToken });
    expect(agent.running.agentId).toContain('/spire/agent/tpm/');
  }
  await expect(startAgent({ joinToken })).rejects.toThrow(/join token does not exist or has already been used/);
});

test('too few attestors do not let a node in, nor does one of them alone', async () => {
  await expect(startAgent({})).rejects.toThrow(/the attestors of this node are not those that let it in/);
  expect(domain.server.records).toContainEqual(
    expect.objectContaining({
      message: 'agent refused',
      fields: expect.objectContaining({
        reason: expect.stringContaining('the node offers "tpm", which is not enough'),
      }),
    }),
  );
  const alone = `NodeAttestor "tpm" { plugin_data { tcti = "${tpm.tcti}" } }`;
  await expect(startAgent({ attestors: alone })).rejects.toThrow(
    /"tpm" alone does not let an agent in: this server wants NodeAttestor "composite" of it/,
  );
  const joinToken = await domain.createToken();
  await expect(startAgent({ attestors: 'NodeAttestor "join_token" {}', joinToken })).rejects.toThrow(
    /"join_token" alone does not let an agent in/,
  );
});

const offer = Offer.encode({ stages: ['tpm', 'join_token'] }).finish();
const empty = StageAnswer.encode({ answer: new Uint8Array() }).finish();

test.each([
  ['an offer that is no message', Uint8Array.of(10, 200), empty, /the offer is no message/],
  ['an offer that is too long', new Uint8Array(4097), empty, /the offer has 4097 bytes, 4096 at most/],
  [
    'an offer of strangers',
    Offer.encode({ stages: ['composite', '__proto__', ''] }).finish(),
    empty,
    /not those that let it in/,
  ],
  ['an answer that is no message', offer, Uint8Array.of(10, 200), /the answer of "tpm" is no message/],
  ['an empty answer', offer, empty, /the payload of "tpm" is empty/],
  [
    'another attestor’s payload',
    offer,
    StageAnswer.encode({ answer: Buffer.from('token') }).finish(),
    /nodeattestor\(tpm\)/,
  ],
])('%s is refused', async (_what, payload, answer, message) => {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const csr = await createCsr({ signer: signerOfKeyObject(privateKey), uriNames: [] });
  const asked: string[] = [];
  const attested = attestAgent(domain.server, {
    type: 'composite',
    payload,
    csr,
    async answer(challenge) {
      asked.push(StageChallenge.decode(challenge).stage);
      return answer;
    },
  });
  await expect(attested).rejects.toThrow(message);
  expect(asked.filter((stage) => stage !== 'tpm')).toEqual([]);
});
