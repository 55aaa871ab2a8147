import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { AttestAgentRequest } from '../../src/gen/spire/api/server/agent/v1/agent.ts';
import { decodeChallenge, encodeResponse } from '../../src/plugins/tpm/codec.ts';
import type { RpcChannel } from '../../src/rpc/channel.ts';
import { RemoteError } from '../../src/rpc/status.ts';
import { Status } from '../../src/spiffe/status.ts';
import { EkAuthority } from '../../src/testing/ek-authority.ts';
import { SoftwareTpm } from '../../src/testing/software-tpm.ts';
import type { TestServer } from '../harness/running-server.ts';
import { SoftwareProver } from '../harness/software-prover.ts';
import { createTemporaryFolder } from '../harness/temporary-folder.ts';
import { agentRecords } from './admin-records.ts';
import { attestOver, connectToServer, openAttestation, paramsOf } from './attest-agent.ts';
import { type CsrKey, newCsrKey } from './tpm-node.ts';
import { tpmServer } from './tpm-server.ts';

/** A refusal for cause. Anything else means that the server did not know what it had before it. */
const REFUSALS: readonly Status[] = [Status.PermissionDenied, Status.InvalidArgument, Status.FailedPrecondition];
const MUTATIONS_EACH = 100;

const resources = new AsyncDisposableStack();
let server: TestServer;
let channel: RpcChannel;
let csrKey: CsrKey;
let prover: SoftwareProver;
const tpm = new SoftwareTpm({ ek: 'L-2' });
beforeAll(async () => {
  const folder = resources.use(await createTemporaryFolder());
  const ca = EkAuthority.root();
  await writeFile(folder.join('ca.der'), ca.certificate.der);
  server = await tpmServer(resources, `ca_path = "${folder.join('ca.der')}"`);
  channel = resources.use(connectToServer(server));
  csrKey = await newCsrKey();
  prover = new SoftwareProver(tpm, csrKey.publicKey, [ca.issueEkCertificate(tpm.ekSpki)]);
});
afterAll(() => resources.disposeAsync());

/** Answers as well as it can: where the AK was changed, the credential does not open. */
function answer(challenge: Uint8Array): Uint8Array {
  const asked = decodeChallenge(challenge);
  try {
    return encodeResponse(prover.response(asked));
  } catch {
    return encodeResponse({ secret: randomBytes(32), ...tpm.quote(prover.qualifyingData(asked), asked.pcrs) });
  }
}

const honest = () => ({
  payload: prover.encodedPayload(),
  csr: csrKey.csr,
  answer: async (asked: Uint8Array) => answer(asked),
});

/** One change, at a place and of a kind that `number` decides. */
function mutate(good: Uint8Array, number: number): Uint8Array {
  const offset = Math.floor((number * good.length) / MUTATIONS_EACH);
  const [head, tail] = [good.subarray(0, offset), good.subarray(offset + 1)];
  const byte = good[offset] ?? 0;
  switch (number % 5) {
    case 0:
      return head;
    case 1:
      return Buffer.concat([head, tail]);
    case 2:
      return Buffer.concat([head, Buffer.of(byte, byte), tail]);
    case 3:
      return good.with(offset, byte === 0xff ? 0 : 0xff);
    default:
      return good.with(offset, byte ^ (1 << (number % 8)));
  }
}

const numbers = Array.from({ length: MUTATIONS_EACH }, (_, number) => number);

test('the messages are admitted as they are', async () => {
  await attestOver(channel, honest());
  expect(await agentRecords(server)).toHaveLength(1);
});

describe.each(['payload', 'csr', 'answer'] as const)('one change in the %s', (which) => {
  test(`is refused, ${MUTATIONS_EACH} times, for cause`, { timeout: 120_000 }, async () => {
    const [{ serialNumber } = { serialNumber: '' }] = await agentRecords(server);
    const admitted: number[] = [];
    const strange: unknown[] = [];
    for (const number of numbers) {
      const exchange = honest();
      const changed =
        which === 'answer'
          ? { ...exchange, answer: async (asked: Uint8Array) => mutate(answer(asked), number) }
          : { ...exchange, [which]: mutate(exchange[which], number) };
      try {
        await attestOver(channel, changed);
        admitted.push(number);
      } catch (error) {
        if (!(error instanceof RemoteError) || !REFUSALS.includes(error.status)) strange.push([number, error]);
      }
    }
    expect(strange).toEqual([]);
    expect(admitted).toEqual([]);
    expect((await agentRecords(server)).map((record) => record.serialNumber)).toEqual([serialNumber]);
  });
});

describe('a conversation out of order', () => {
  const answerStep = (value: Uint8Array): AttestAgentRequest => ({ step: { $case: 'challengeResponse', value } });
  const params = () => paramsOf({ payload: prover.encodedPayload(), csr: csrKey.csr });
  const conversations: readonly (readonly [string, () => readonly AttestAgentRequest[]])[] = [
    ['nothing at all', () => []],
    ['an answer before the parameters', () => [answerStep(randomBytes(64)), params()]],
    ['the parameters twice', () => [params(), params()]],
    ['a message without content', () => [{ step: undefined }]],
    [
      'parameters without content',
      () => [{ step: { $case: 'params', value: { data: undefined, params: undefined } } }],
    ],
    ['an answer without content', () => [params(), answerStep(new Uint8Array(0))]],
    ['an answer of 100 kB', () => [params(), answerStep(randomBytes(100_000))]],
    ['an attestor that is not configured', () => [paramsOf({ type: 'gurke', payload: Buffer.of(1), csr: csrKey.csr })]],
    ['a payload of 3.5 MB', () => [paramsOf({ payload: new Uint8Array(3_500_000), csr: csrKey.csr })]],
    ['a CSR of 1 MB', () => [paramsOf({ payload: prover.encodedPayload(), csr: new Uint8Array(1_000_000) })]],
  ];

  test.each(conversations)('%s is refused in a sentence', async (_name, messages) => {
    await using call = openAttestation(channel);
    const refusal = (async () => {
      for (const message of messages()) await call.send(message);
      call.end();
      while ((await call.receive()) !== undefined);
    })();
    await expect(refusal).rejects.toMatchObject({ name: 'RemoteError', message: expect.stringMatching(/\w+ \w+/) });
    await expect(refusal).rejects.not.toMatchObject({ message: 'internal error' });
  });

  test('fifty that are broken off at the challenge leave the server as it was', async () => {
    for (let count = 0; count < 50; count++) {
      await using call = openAttestation(channel);
      await call.send(params());
      await call.receive();
      call.cancel();
    }
    expect(await attestOver(channel, honest())).toMatchObject({ reattestable: true });
  });
});

test('the server stayed up, with the plugins that it started with, and complains of nothing', async () => {
  expect(server.running.plugins.map(({ state }) => state)).not.toContain('unhealthy');
  expect(server.records.filter(({ level }) => ['error', 'fatal', 'panic'].includes(level))).toEqual([]);
  expect(server.records.filter(({ message }) => message === 'plugin loaded')).toHaveLength(2);
  expect(await attestOver(channel, honest())).toMatchObject({ reattestable: true });
});
