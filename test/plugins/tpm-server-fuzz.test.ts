import { expect, test } from 'vitest';
import { attestTpm } from '../../src/plugins/tpm/attest.ts';
import { isSpiffeError } from '../../src/spiffe/error.ts';
import { SoftwareTpm } from '../../src/testing/software-tpm.ts';
import { SoftwareProver } from '../harness/software-prover.ts';
import { csrKey, NOW, root, stateOf, TRUST_DOMAIN } from './tpm-server-fixture.ts';

const REFUSALS: ReadonlySet<string> = new Set([
  'ATTESTATION_DENIED',
  'TPM_DATA_INVALID',
  'CERTIFICATE_INVALID',
  'DER_INVALID',
]);
const tpm = new SoftwareTpm();
const key = csrKey();
const prover = new SoftwareProver(tpm, key, [root.issueEkCertificate(tpm.ekSpki)]);
const payload = prover.encodedPayload();
const state = stateOf({});

function start(bytes: Uint8Array) {
  return attestTpm(bytes, state, { trustDomain: TRUST_DOMAIN, csrPublicKey: key, now: () => NOW });
}

type Mutation = (good: Uint8Array, offset: number) => Uint8Array;

const flip: Mutation = (good, offset) => good.with(offset, (good[offset] ?? 0) ^ (1 << (offset % 8)));
const OTHERS: readonly Mutation[] = [
  (good, offset) => good.with(offset, good[offset] === 0xff ? 0 : 0xff),
  (good, offset) => good.subarray(0, offset),
  (good, offset) => Uint8Array.from([...good.subarray(0, offset), good[offset] ?? 0, ...good.subarray(offset)]),
  (good, offset) => Uint8Array.from([...good.subarray(0, offset), ...good.subarray(offset + 1)]),
];

/** At every offset a flipped bit, and in turn another byte, a cut, an insertion and a deletion. */
function* mutations(length: number): Iterable<(good: Uint8Array) => Uint8Array> {
  for (let offset = 0; offset < length; offset++) {
    const another = OTHERS[offset % OTHERS.length] ?? flip;
    yield (good) => flip(good, Math.min(offset, good.length - 1));
    yield (good) => another(good, Math.min(offset, good.length - 1));
  }
  yield (good) => Uint8Array.from([...good, ...good]);
}

async function outcome(
  run: () => Promise<{ readonly done?: boolean | undefined }>,
): Promise<'admitted' | 'asked' | string> {
  try {
    return (await run()).done === true ? 'admitted' : 'asked';
  } catch (error) {
    return isSpiffeError(error) ? error.code : `not a refusal: ${String(error)}`;
  }
}

test('the unchanged evidence is admitted', async () => {
  const server = start(payload);
  const { value } = await server.next();
  expect(value).toBeInstanceOf(Uint8Array);
  const verdict = await server.next(value instanceof Uint8Array ? prover.answer(value) : payload);
  expect(verdict.done).toBe(true);
});

/** A payload may stay good where a change hits the AK alone: then no TPM opens the credential. */
test('no changed payload is admitted, and none breaks the server', { timeout: 120_000 }, async () => {
  for (const mutate of mutations(payload.length)) {
    const bytes = mutate(payload);
    if (Buffer.compare(bytes, payload) === 0) continue;
    const server = start(bytes);
    let challenge: Uint8Array | undefined;
    const first = await outcome(async () => {
      const step = await server.next();
      challenge = step.done === true ? undefined : step.value;
      return step;
    });
    if (challenge === undefined) {
      expect(REFUSALS).toContain(first);
    } else {
      const asked = challenge;
      expect(() => prover.answer(asked)).toThrow('TPM_RC_INTEGRITY');
    }
  }
});

test('no changed response is admitted, and none breaks the server', { timeout: 120_000 }, async () => {
  const { value } = await start(payload).next();
  const { length } = value instanceof Uint8Array ? prover.answer(value) : payload;
  for (const mutate of mutations(length)) {
    const server = start(payload);
    const step = await server.next();
    const good = step.done === true ? payload : prover.answer(step.value);
    const bytes = mutate(good);
    if (Buffer.compare(bytes, good) === 0) continue;
    expect(REFUSALS).toContain(await outcome(() => server.next(bytes)));
  }
});
