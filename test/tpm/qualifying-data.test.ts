import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { type QuoteBinding, qualifyingData } from '../../src/tpm/qualifying-data.ts';
import { toHex } from './vectors.ts';

const binding: QuoteBinding = {
  nonce: new Uint8Array(32).fill(1),
  csrPublicKey: new Uint8Array(91).fill(2),
  ekName: new Uint8Array(34).fill(3),
  akName: new Uint8Array(34).fill(4),
};

test('C20: is SHA-256 over the five fields, each behind its length', () => {
  const expected = createHash('sha256')
    .update(Buffer.from('0000001f', 'hex'))
    .update('assayer tpm node attestation v1')
    .update(Buffer.from('00000020', 'hex'))
    .update(binding.nonce)
    .update(Buffer.from('0000005b', 'hex'))
    .update(binding.csrPublicKey)
    .update(Buffer.from('00000022', 'hex'))
    .update(binding.ekName)
    .update(Buffer.from('00000022', 'hex'))
    .update(binding.akName)
    .digest('hex');
  expect(toHex(qualifyingData(binding))).toBe(expected);
});

test.each(['nonce', 'csrPublicKey', 'ekName', 'akName'] as const)('C20: differs when the %s does', (field) => {
  expect(toHex(qualifyingData({ ...binding, [field]: binding[field].with(0, 9) }))).not.toBe(
    toHex(qualifyingData(binding)),
  );
});

test('C20: a byte cannot move from one field to the next', () => {
  const moved = {
    ...binding,
    ekName: binding.ekName.subarray(1),
    csrPublicKey: new Uint8Array(92).fill(2).with(91, 3),
  };
  expect(toHex(qualifyingData(moved))).not.toBe(toHex(qualifyingData(binding)));
});
