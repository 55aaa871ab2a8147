import { expect, test } from 'vitest';
import { readKnownPcrSelections, readPcrSelections } from '../../src/tpm/pcr-selection.ts';
import { TpmReader } from '../../src/tpm/tpm-reader.ts';

/** Banks of SHA-256, with PCR 0 and 23, and of SHA3-256, which came later than what is read here. */
const banks = () => new TpmReader(Buffer.from('00000002000b030100800027030000ff', 'hex'), 'TPML_PCR_SELECTION');

test('a TPM with a bank of a hash that is not known has its other banks', () => {
  expect(readKnownPcrSelections(banks())).toEqual([{ bank: 'sha256', indices: [0, 23] }]);
});

test('a quote of such a bank is refused', () => {
  expect(() => readPcrSelections(banks())).toThrow(/unknown hash algorithm 0x0*27/);
});
