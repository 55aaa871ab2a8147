import { describe, expect, test } from 'vitest';
import { type AttestationChallenge, decodeResponse, encodeResponse } from '../../src/plugins/tpm/codec.ts';
import { SoftwareTpm } from '../../src/testing/software-tpm.ts';
import { nameOf } from '../../src/tpm/names.ts';
import { encodePublic } from '../../src/tpm/public-area.ts';
import { qualifyingData } from '../../src/tpm/qualifying-data.ts';
import { deniedBy } from '../harness/denied.ts';
import { madeKeyArea } from '../tpm/made-key.ts';
import { AGENT_KEY, type Attestation, attest, csrKey } from './tpm-server-fixture.ts';

interface Changes {
  /** The key that the TPM certifies; the agent's own by default. */
  readonly key?: Uint8Array;
  readonly nonce?: Uint8Array;
  readonly use?: 'tpm' | 'tpm_key';
}

/** An agent that says that its key is bound. */
function binding({
  key = AGENT_KEY,
  nonce,
  use = 'tpm_key',
}: Changes = {}): Attestation & { readonly tpm: SoftwareTpm } {
  const tpm = new SoftwareTpm();
  const area = madeKeyArea(key);
  let asked: AttestationChallenge | undefined;
  return {
    tpm,
    challenge: (challenge) => {
      asked = challenge;
      return challenge;
    },
    response: (response) => {
      const { ekName, akName } = tpm;
      const fields = { nonce: nonce ?? asked?.nonce ?? key, csrPublicKey: AGENT_KEY, ekName, akName };
      const certification = tpm.certify(nameOf(area), qualifyingData(fields, use));
      return { ...response, keyBinding: { publicArea: encodePublic(area), ...certification } };
    },
  };
}

const required = { config: { require_key_bound: true } };

describe('a key that the TPM certifies', () => {
  test('earns the selector key_bound, asked for or not', async () => {
    expect((await attest(binding())).selectorValues).toContain('key_bound');
    expect((await attest({ ...binding(), ...required })).selectorValues).toContain('key_bound');
  });

  test('is not missed where nobody asks for it, and earns nothing then', async () => {
    expect((await attest()).selectorValues).not.toContain('key_bound');
  });

  test('is not believed under a host that does not tell the key of the CSR', async () => {
    const attestation: Attestation = { ...binding(), csrPublicKey: 'unknown', config: { allow_unbound: true } };
    expect((await attest(attestation)).selectorValues).not.toContain('key_bound');
  });
});

const refused: readonly (readonly [string, string, Attestation])[] = [
  ['H53', 'a claim for another key than the CSR’s', binding({ key: csrKey() })],
  ['H55', 'no claim where require_key_bound wants one', required],
  [
    'H55',
    'a host that does not tell the CSR’s key where require_key_bound is set',
    { ...binding(), csrPublicKey: 'unknown', config: { allow_unbound: true, require_key_bound: true } },
  ],
  ['C20', 'a certification for an older challenge', binding({ nonce: new Uint8Array(32) })],
  ['C20', 'a certification with the quote’s own context', binding({ use: 'tpm' })],
];
test.each(refused)('%s: %s is refused', async (check, _what, attestation) => {
  await expect(attest(attestation)).rejects.toThrow(deniedBy(check));
});

describe('a response', () => {
  const quoted = { secret: Uint8Array.of(1), quote: Uint8Array.of(2), signature: Uint8Array.of(3), pcrValues: [] };
  const keyBinding = { publicArea: Uint8Array.of(4), attest: Uint8Array.of(5), signature: Uint8Array.of(6) };

  test('holds a certification or none', () => {
    expect(decodeResponse(encodeResponse({ ...quoted, keyBinding })).keyBinding).toEqual(keyBinding);
    expect(decodeResponse(encodeResponse(quoted)).keyBinding).toBeUndefined();
  });

  test('with a part of one, or with more, is refused', () => {
    const whole = encodeResponse({ ...quoted, keyBinding });
    const { length } = encodeResponse(quoted);
    for (let end = length; end < whole.length; end++) {
      expect(() => decodeResponse(whole.subarray(0, end))).toThrow(/is cut off|has 0 bytes/);
    }
    expect(() => decodeResponse(Buffer.concat([whole, Buffer.of(0)]))).toThrow(/1 bytes follow/);
  });
});
