import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import type { AgentHalf } from '../../../src/authoring/attestation/agent-half.ts';
import { PluginHalf } from '../../../src/authoring/attestation/plugin-half.ts';
import { type AttestationMessage, runAttestation } from '../../../src/authoring/attestation/run-attestation.ts';
import type { Verdict } from '../../../src/authoring/attestation/verdict.ts';
import { RandomnessDefinition } from '../../../src/gen/assayer/hostservice/replay/v1/replay.ts';
import { type BoundService, bindService } from '../../../src/rpc/service.ts';
import { DIGEST_SERVER, TRUST_DOMAIN } from '../transcript/digest-halves.ts';

const PAYLOAD = Buffer.from('node-2');
const METADATA = { csrPublicKey: Uint8Array.of(1), forwardedHost: '', clientAddress: '' };
const AGENT: AgentHalf = {
  payload: async () => PAYLOAD,
  respond: async (challenge) => createHash('sha256').update(challenge).update(PAYLOAD).digest(),
};

async function attest(
  hostServices: readonly BoundService[],
  agent: AgentHalf = AGENT,
): Promise<{ readonly verdict: Verdict; readonly messages: readonly AttestationMessage[] }> {
  const options = { side: 'server', command: process.execPath, args: [DIGEST_SERVER], data: { text: '' } } as const;
  await using server = await PluginHalf.start({ ...options, trustDomain: TRUST_DOMAIN, hostServices });
  const messages: AttestationMessage[] = [];
  const onMessage = (message: AttestationMessage) => void messages.push(message);
  return { verdict: await runAttestation({ agent, server, metadata: METADATA, onMessage }), messages };
}

function randomness(random: Uint8Array): BoundService {
  return bindService(RandomnessDefinition, { draw: async () => ({ random }) });
}

test('a server half draws from a host that offers it, and by itself under every other', async () => {
  const given = Buffer.alloc(32, 7);
  expect((await attest([randomness(given)])).messages[1]?.bytes).toEqual(given);
  const [one, two] = [await attest([]), await attest([])];
  expect(one.verdict).toMatchObject({ outcome: 'admitted' });
  expect(one.messages[1]?.bytes).toHaveLength(32);
  expect(one.messages[1]?.bytes).not.toEqual(two.messages[1]?.bytes);
});

test('a host that gives less than it was asked for is not believed', async () => {
  const { verdict } = await attest([randomness(Uint8Array.of(1))]);
  expect(verdict).toMatchObject({ outcome: 'refused', message: 'the host gave 1 random bytes instead of 32' });
});

test('what the agent’s part throws ends the attestation unchanged', async () => {
  const failure = new RangeError('enough');
  const agent: AgentHalf = { ...AGENT, respond: () => Promise.reject(failure) };
  await expect(attest([], agent)).rejects.toBe(failure);
});

test('disposing twice is no more than once', async () => {
  const options = { side: 'server', command: process.execPath, args: [DIGEST_SERVER], data: { text: '' } } as const;
  const half = await PluginHalf.start({ ...options, trustDomain: TRUST_DOMAIN });
  await Promise.all([half[Symbol.asyncDispose](), half[Symbol.asyncDispose]()]);
  await half[Symbol.asyncDispose]();
});
