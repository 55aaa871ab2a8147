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
import { decodeLogChunk, decodeLogRequest, encodeLogChunk, encodeLogRequest } from '../../src/plugins/tpm/log-codec.ts';
import { MessageReader } from '../../src/plugins/tpm/message.ts';
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
    expect(decodeChallenge(encodeChallenge(challenge))).toEqual({ ...challenge, logs: [] });
  });

  test('challenge that wants logs, of the second version', () => {
    const wanting = { ...challenge, logs: ['event', 'ima'] as const };
    expect(toHex(encodeChallenge(wanting))).toBe(`${CHALLENGE.replace(' 01 02 ', ' 02 02 ')} 03`.replaceAll(' ', ''));
    expect(decodeChallenge(encodeChallenge(wanting))).toEqual(wanting);
  });

  test('request for a part of a log, and the part', () => {
    const request = { log: 'ima', offset: 0x1234, length: 0x100000 } as const;
    expect(toHex(encodeLogRequest(request))).toBe('4154504d02040200001234' + '00100000');
    expect(decodeLogRequest(encodeLogRequest(request))).toEqual(request);
    const chunk = { log: 'event', offset: 0x1234, state: 'end', bytes: bytes(3, 9) } as const;
    expect(toHex(encodeLogChunk(chunk))).toBe('4154504d02050100001234' + '01090909');
    expect(decodeLogChunk(encodeLogChunk(chunk))).toEqual(chunk);
  });

  test('response', () => {
    expect(toHex(encodeResponse(response))).toBe(RESPONSE.replaceAll(' ', ''));
    expect(decodeResponse(encodeResponse(response))).toEqual(response);
  });
});

const VERSION_1_OR_2 = /version 3, version 1 or 2 is spoken here: update the older side$/;
const messages = [
  ['payload', encodePayload(payload), decodePayload, /version 3, version 1 is spoken here: update the older side$/],
  ['challenge', encodeChallenge(challenge), decodeChallenge, VERSION_1_OR_2],
  ['response', encodeResponse(response), decodeResponse, VERSION_1_OR_2],
] as const;

describe.each(messages)('a %s', (_kind, good, decode, otherVersion) => {
  test('that is cut anywhere is refused', () => {
    for (let length = 0; length < good.length; length++) {
      expect(() => decode(good.subarray(0, length))).toThrow(expect.objectContaining({ code: 'TPM_DATA_INVALID' }));
    }
  });

  test.each([
    ['that has a byte behind it', Uint8Array.from([...good, 0]), /1 bytes follow/],
    ['of another magic', good.with(0, 0x42), /does not begin with "ATPM"/],
    ['of another version', good.with(4, 3), otherVersion],
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

test.each([
  ['cut', (good: Uint8Array) => good.subarray(0, -1), /cut off/],
  ['with a byte behind it', (good: Uint8Array) => Uint8Array.from([...good, 0]), /1 bytes follow/],
  ['of the first version', (good: Uint8Array) => good.with(4, 1), /version 1, version 2 is spoken here/],
  ['for a log that is not known', (good: Uint8Array) => good.with(6, 8), /there is no log 8/],
  ['for nothing', (good: Uint8Array) => good.with(14, 0), /asks for 0 bytes/],
  ['for too much at once', (good: Uint8Array) => good.with(11, 1), /asks for 16777217 bytes/],
])('a request for a part of a log that is %s is refused', (_what, change, message) => {
  const good = encodeLogRequest({ log: 'event', offset: 0, length: 1 });
  expect(() => decodeLogRequest(change(good))).toThrow(message);
});

test.each([
  ['of no log', (good: Uint8Array) => good.with(6, 0), /there is no log 0/],
  ['in an unknown state', (good: Uint8Array) => good.with(11, 7), /the unknown state 7/],
  ['cut', (good: Uint8Array) => good.subarray(0, 10), /cut off at the offset/],
])('a part of a log %s is refused', (_what, change, message) => {
  const good = encodeLogChunk({ log: 'event', offset: 0, state: 'end', bytes: bytes(1) });
  expect(() => decodeLogChunk(change(good))).toThrow(message);
});

test.each([[0], [8], [0x81]])('a challenge that wants logs which are not known, %d, is refused', (bits) => {
  const good = encodeChallenge({ ...challenge, logs: ['event'] });
  expect(() => decodeChallenge(good.with(good.length - 1, bits))).toThrow(/update the agent/);
});

test('an agent that knows no logs tells which side to update', () => {
  const wanting = encodeChallenge({ ...challenge, logs: ['event'] });
  expect(() => new MessageReader(wanting, 'challenge')).toThrow(
    'the tpm challenge has version 2, version 1 is spoken here: update the older side',
  );
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
