import { describe, expect, test } from 'vitest';
import {
  type AttestationChallenge,
  type AttestationPayload,
  type AttestationResponse,
  decodeChallenge,
  decodePayload,
  decodeResponse,
  encodeChallenge,
  encodePayload,
  encodeResponse,
} from '../../src/plugins/tpm/codec.ts';
import { deniedBy } from '../harness/denied.ts';
import { toHex } from '../tpm/vectors.ts';

const bytes = (length: number, value = 1) => new Uint8Array(length).fill(value);

const payload: AttestationPayload = {
  ekPublic: bytes(3),
  akPublic: bytes(2, 2),
  ekCertificates: [bytes(4, 3), bytes(1, 4)],
};
const challenge: AttestationChallenge = {
  credentialBlob: bytes(3, 5),
  encryptedSecret: bytes(2, 6),
  nonce: bytes(16, 7),
  pcrs: { bank: 'sha384', indices: [0, 7, 23] },
};
const response: AttestationResponse = {
  secret: bytes(2, 8),
  quote: bytes(3, 9),
  signature: bytes(1, 10),
  pcrValues: [bytes(2, 11), bytes(2, 12)],
};

/** The layout of docs/plugins/tpm.md. */
const PAYLOAD = '4154504d 01 01 0003 010101 0002 0202 02 0004 03030303 0001 04';
const CHALLENGE = `4154504d 01 02 0003 050505 0002 0606 0010 ${'07'.repeat(16)} 0c 0003 000717`;
const RESPONSE = '4154504d 01 03 0002 0808 0003 090909 0001 0a 02 0002 0b0b 0002 0c0c';

describe('each message is written as documented, and read back', () => {
  test('payload', () => {
    expect(toHex(encodePayload(payload))).toBe(PAYLOAD.replaceAll(' ', ''));
    expect(decodePayload(encodePayload(payload))).toEqual(payload);
    expect(decodePayload(encodePayload({ ...payload, ekCertificates: [] })).ekCertificates).toEqual([]);
  });

  test('challenge', () => {
    expect(toHex(encodeChallenge(challenge))).toBe(CHALLENGE.replaceAll(' ', ''));
    expect(decodeChallenge(encodeChallenge(challenge))).toEqual(challenge);
  });

  test('response', () => {
    expect(toHex(encodeResponse(response))).toBe(RESPONSE.replaceAll(' ', ''));
    expect(decodeResponse(encodeResponse(response))).toEqual(response);
  });
});

const messages = [
  ['payload', encodePayload(payload), decodePayload],
  ['challenge', encodeChallenge(challenge), decodeChallenge],
  ['response', encodeResponse(response), decodeResponse],
] as const;

describe.each(messages)('a %s', (_kind, good, decode) => {
  test('that is cut anywhere is refused', () => {
    for (let length = 0; length < good.length; length++) {
      expect(() => decode(good.subarray(0, length))).toThrow(expect.objectContaining({ code: 'TPM_DATA_INVALID' }));
    }
  });

  test.each([
    ['that has a byte behind it', Uint8Array.from([...good, 0]), /1 bytes follow/],
    ['of another magic', good.with(0, 0x42), /does not begin with "ATPM"/],
    ['of another version', good.with(4, 2), /version 2, version 1 is spoken here/],
    ['of another kind', good.with(5, 9), /kind 9/],
    ['with a field that is too long', good.with(6, 0xff), /allowed/],
    ['with an empty first field', good.with(6, 0).with(7, 0), /has 0 bytes/],
  ])('%s is refused', (_what, bad, message) => {
    expect(() => decode(bad)).toThrow(
      expect.objectContaining({ code: 'TPM_DATA_INVALID', message: expect.stringMatching(message) }),
    );
  });
});

test.each([
  ['a SHA-1 bank', { ...challenge, pcrs: { bank: 'sha1' as 'sha256', indices: [0] } }, /sha1 bank/],
  ['PCR 24', { ...challenge, pcrs: { bank: 'sha256', indices: [24] } }, /PCR indices 24/],
  ['a PCR twice', { ...challenge, pcrs: { bank: 'sha256', indices: [1, 1] } }, /PCR indices 1, 1/],
  ['PCRs out of order', { ...challenge, pcrs: { bank: 'sha256', indices: [2, 1] } }, /PCR indices 2, 1/],
  ['a short nonce', { ...challenge, nonce: bytes(15) }, /the nonce has 15 bytes/],
] as const)('a challenge with %s is refused', (_what, bad, message) => {
  expect(() => decodeChallenge(encodeChallenge(bad))).toThrow(message);
});

test('more certificates than a TPM has are refused', () => {
  const many = { ...payload, ekCertificates: Array.from({ length: 9 }, () => bytes(1)) };
  expect(() => decodePayload(encodePayload(many))).toThrow(/9 of EK certificates, at most 8/);
});

test('F42: what is too large is not looked at', () => {
  expect(() => decodePayload(bytes(65_537))).toThrow(deniedBy('F42'));
  expect(() => decodeResponse(bytes(8193))).toThrow(deniedBy('F42'));
  expect(() => decodeChallenge(bytes(4097))).toThrow(/too many/);
});
