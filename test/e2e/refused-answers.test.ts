import { randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { AgentDefinition } from '../../src/gen/spire/api/server/agent/v1/agent.ts';
import {
  decodeChallenge,
  decodePayload,
  decodeResponse,
  encodeChallenge,
  encodeResponse,
} from '../../src/plugins/tpm/codec.ts';
import { requireAttestationKey } from '../../src/tpm/attestation-key.ts';
import { requireEndorsementKey } from '../../src/tpm/endorsement-key.ts';
import { makeCredential } from '../../src/tpm/make-credential.ts';
import { TpmProxy } from '../harness/tpm-proxy.ts';
import { attestAgent } from './attest-agent.ts';
import { readPcrByTools } from './ek-from-tools.ts';
import { expectRefusal, RefusalFixture } from './refusal-fixture.ts';
import { newCsrKey, type Recording, TpmNode } from './tpm-node.ts';

const PCR_READ = 0x17e;
/** TPM2_PCR_Extend of PCR 5 with a digest of 0x55, authorized by its empty password. */
const EXTEND_PCR_5 = Buffer.from(
  `800200000041000001820000000500000009400000090000000000${'00000001000b'}${'55'.repeat(32)}`,
  'hex',
);
const NEVER = new AbortController().signal;

let fixture: RefusalFixture;
beforeAll(async () => {
  fixture = await RefusalFixture.start();
});
afterAll(() => fixture[Symbol.asyncDispose]());
afterEach(() => fixture.expectNothingHappened());

/** A good attestation, all of it kept; the agent that came of it is deleted. */
async function record(): Promise<Recording> {
  const { node, server } = fixture;
  const recording = await node.attest(server);
  const id = { trustDomain: 'example.org', path: recording.agentId.replace(/^spiffe:\/\/[^/]+/, '') };
  await server.admin(AgentDefinition).deleteAgent({ id });
  return recording;
}

/** Any TPM answers a challenge of the attacker's own making; nonce and PCRs are those of the server's. */
async function ask(node: TpmNode, challenge: Uint8Array, csrPublicKey: Uint8Array): Promise<Uint8Array> {
  const { nonce, pcrs } = decodeChallenge(challenge);
  await using proof = node.attestor.attest({ csrPublicKey, signal: NEVER });
  const { ekPublic, akPublic } = decodePayload(await proof.payload);
  const credential = makeCredential(
    requireEndorsementKey(ekPublic),
    requireAttestationKey(akPublic).name,
    randomBytes(32),
  );
  return await proof.respond(encodeChallenge({ ...credential, nonce, pcrs }));
}

describe('a TPM that is swapped for another between payload and challenge', () => {
  test('cannot answer, and the node says what is wrong', async () => {
    await using proxy = await TpmProxy.start(fixture.tpm);
    await using node = await TpmNode.start(proxy.tcti);
    const attestation = node.attest(fixture.server, {
      answer(challenge, respond) {
        proxy.swap(fixture.other);
        return respond(challenge);
      },
    });
    await expect(attestation).rejects.toThrow(/^nodeattestor\(tpm\): .*TPM/);

    // The chip that was taken out keeps its keys until it is powered down.
    await fixture.tpm.tools('tpm2_flushcontext', '-t');
  });

  test('is refused where the other one answers as well as it can (check B16)', async () => {
    const { publicKey } = await newCsrKey();
    const answer = (challenge: Uint8Array) => ask(fixture.otherNode, challenge, publicKey);
    await fixture.refused({ answer }, 'B16', /did not open the credential/);
  });
});

describe('an answer', () => {
  test('that was given before, to another challenge (check B16)', async () => {
    const { payload, csrKey, answers } = await record();
    const [answer = new Uint8Array(0)] = answers;
    const replay = attestAgent(fixture.server, { payload, csr: csrKey.csr, answer: async () => answer });
    await expectRefusal(replay, 'B16', /did not open the credential/);
    await fixture.refused({ answer: async () => answer }, 'B16', /did not open the credential/);
  });

  test('with the right secret and the quote of an earlier attestation, by its key (check C18)', async () => {
    const { answers } = await record();
    const old = decodeResponse(answers[0] ?? new Uint8Array(0));
    await fixture.refused(
      {
        async answer(challenge, respond) {
          const { secret } = decodeResponse(await respond(challenge));
          return encodeResponse({ ...old, secret });
        },
      },
      'C18',
      /not signed by the attestation key/,
    );
  });

  test('with a quote from another TPM (check C18)', async () => {
    const { publicKey } = await newCsrKey();
    await fixture.refused(
      {
        async answer(challenge, respond) {
          const { secret } = decodeResponse(await respond(challenge));
          return encodeResponse({ ...decodeResponse(await ask(fixture.otherNode, challenge, publicKey)), secret });
        },
      },
      'C18',
      /not signed by the attestation key/,
    );
  });

  test('to a challenge whose PCRs somebody changed on the way (check C21)', async () => {
    await fixture.refused(
      {
        answer(bytes, respond) {
          const challenge = decodeChallenge(bytes);
          const indices = [...challenge.pcrs.indices.filter((index) => index !== 7), 16];
          return respond(encodeChallenge({ ...challenge, pcrs: { ...challenge.pcrs, indices } }));
        },
      },
      'C21',
      /covers sha256:0,1,2,3,4,5,6,16, asked for was sha256:0,1,2,3,4,5,6,7/,
    );
  });

  test('to a nonce that somebody changed on the way (check C20)', async () => {
    await fixture.refused(
      {
        answer: (bytes, respond) => respond(encodeChallenge({ ...decodeChallenge(bytes), nonce: randomBytes(32) })),
      },
      'C20',
      /./,
    );
  });
});

describe('a CSR', () => {
  test('that somebody in the middle puts in the place of the node’s (check C20)', async () => {
    const mine = await newCsrKey();
    await fixture.refused({ csr: () => mine.csr }, 'C20', /CSR|bound|fresh/);
  });
});

describe('PCR values', () => {
  test('that were read after the quote, with a measurement in between (check C22)', async () => {
    const { tpm } = fixture;
    await fixture.refused(
      {
        async answer(bytes, respond) {
          const response = decodeResponse(await respond(bytes));
          const { pcrs } = decodeChallenge(bytes);
          const pcrValues = response.pcrValues.map((value, position) =>
            pcrs.indices[position] === 5 ? Buffer.alloc(value.length, 0x55) : value,
          );
          return encodeResponse({ ...response, pcrValues });
        },
      },
      'C22',
      /PCR/,
    );
    expect(await readPcrByTools(tpm, 'sha256', 5)).toMatch(/^[0-9a-f]{64}$/);
  });

  test('that change during every quote: the node gives up and says which', async () => {
    await using proxy = await TpmProxy.start(fixture.tpm, {
      findPrelude: (code) => (code === PCR_READ ? EXTEND_PCR_5 : undefined),
    });
    await using node = await TpmNode.start(proxy.tcti);
    await expect(node.attest(fixture.server)).rejects.toThrow(
      /^nodeattestor\(tpm\): PCRs 0, 1, 2, 3, 4, 5, 6, 7 changed during each of 5 quotes/,
    );
  });
});
