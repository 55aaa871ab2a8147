import { describe, expect, test } from 'vitest';
import { SoftwareTpm } from '../../src/testing/software-tpm.ts';
import { encodeQuoteAttest, parseQuoteAttest, type QuoteAttest } from '../../src/tpm/attest.ts';
import { requireAttestationKey } from '../../src/tpm/attestation-key.ts';
import { requireEndorsementKey } from '../../src/tpm/endorsement-key.ts';
import type { PcrRequest } from '../../src/tpm/pcr-selection.ts';
import type { KeyScheme } from '../../src/tpm/public-area.ts';
import { type QuoteEvidence, type QuoteExpectation, verifyQuote } from '../../src/tpm/quote.ts';
import { encodeSignature, parseSignature } from '../../src/tpm/signature.ts';
import { concat, u16, u32 } from '../../src/tpm/tpm-writer.ts';
import { deniedBy } from '../harness/denied.ts';
import { MACHINES, type Machine, readPcrVector, readVector, toHex } from './vectors.ts';

const QUOTED = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14];

function captured(machine: Machine, ak: string, quote: string, bank: PcrRequest['bank']) {
  const pcrs: PcrRequest = { bank, indices: QUOTED };
  const evidence: QuoteEvidence = {
    quote: readVector(machine, `quote-${quote}.attest`),
    signature: readVector(machine, `quote-${quote}.sig`),
    pcrValues: QUOTED.map((index) => readPcrVector(machine, bank, index)),
  };
  const expected: QuoteExpectation = {
    ek: requireEndorsementKey(readVector(machine, 'ek-rsa.tpm2b_public')),
    ak: requireAttestationKey(readVector(machine, `${ak}.tpm2b_public`)),
    qualifyingData: Uint8Array.from(
      Buffer.from(Buffer.from(readVector(machine, 'qualifying-data.hex')).toString('ascii').trim(), 'hex'),
    ),
    pcrs,
    allowUnmeasured: false,
  };
  return { evidence, expected };
}

describe.each(MACHINES)('the quotes of %s', (machine) => {
  test.each([
    ['ak-rsa', 'rsassa-sha256bank', 'sha256'],
    ['ak-rsa', 'rsassa-sha384bank', 'sha384'],
    ['ak-rsapss', 'rsapss-sha256bank', 'sha256'],
    ['ak-ecc', 'ecdsa-sha256bank', 'sha256'],
  ] as const)('%s signed %s', (ak, quote, bank) => {
    const { evidence, expected } = captured(machine, ak, quote, bank);
    const verified = verifyQuote(evidence, expected);
    expect(verified.isMeasured).toBe(true);
    expect(verified.firmwareVersion).toBe(0x2019_1023_0016_3636n);
    expect(toHex(verified.pcrs.get(7) ?? new Uint8Array(0))).toBe(toHex(readPcrVector(machine, bank, 7)));
    expect(toHex(encodeQuoteAttest(parseQuoteAttest(evidence.quote)))).toBe(toHex(evidence.quote));
    expect(toHex(encodeSignature(parseSignature(evidence.signature)))).toBe(toHex(evidence.signature));
  });

  test.each([['rsassa-sha1bank'], ['rsassa-multibank'], ['rsassa-sha384bank']])(
    'C21: %s is not over the SHA-256 bank alone',
    (quote) => {
      const { evidence, expected } = captured(machine, 'ak-rsa', quote, 'sha256');
      expect(() => verifyQuote(evidence, expected)).toThrow(deniedBy('C21'));
    },
  );

  test('B17: the quote is not that of a key under the other endorsement key', () => {
    const { evidence, expected } = captured(machine, 'ak-ecc', 'ecdsa-sha256bank', 'sha256');
    const ek = requireEndorsementKey(readVector(machine, 'ek-ecc.tpm2b_public'));
    expect(() => verifyQuote(evidence, { ...expected, ek })).toThrow(deniedBy('B17'));
  });
});

const tpm = new SoftwareTpm();
const QUALIFYING_DATA = new Uint8Array(32).fill(7);
const PCRS: PcrRequest = { bank: 'sha256', indices: [0, 1, 2, 3, 4, 5, 6, 7] };
const expectation: QuoteExpectation = {
  ek: requireEndorsementKey(tpm.ekPublic),
  ak: requireAttestationKey(tpm.akPublic),
  qualifyingData: QUALIFYING_DATA,
  pcrs: PCRS,
  allowUnmeasured: false,
};

function quoted(changes: Partial<QuoteAttest> = {}, changeBytes?: (attest: Uint8Array) => Uint8Array): QuoteEvidence {
  return tpm.quote(QUALIFYING_DATA, PCRS, changes, changeBytes);
}

test.each(['ecc-p256', 'rsa-2048'] as const)('takes the quote of an honest TPM with an %s key', (ak) => {
  const honest = new SoftwareTpm({ ak });
  const keys = { ek: requireEndorsementKey(honest.ekPublic), ak: requireAttestationKey(honest.akPublic) };
  const { clockInfo, pcrs } = verifyQuote(honest.quote(QUALIFYING_DATA, PCRS), { ...expectation, ...keys });
  expect(clockInfo).toEqual(honest.clockInfo);
  expect([...pcrs.keys()]).toEqual(PCRS.indices);
});

test('C18 refuses RSAPSS from an attestation key that has RSASSA', () => {
  const rsa = new SoftwareTpm({ ak: 'rsa-2048' });
  const keys = { ek: requireEndorsementKey(rsa.ekPublic), ak: requireAttestationKey(rsa.akPublic) };
  const evidence = rsa.quote(QUALIFYING_DATA, PCRS);
  const signature = rsa.signWithAk(evidence.quote, { algorithm: 'rsapss', hash: 'sha256' });
  expect(() => verifyQuote({ ...evidence, signature }, { ...expectation, ...keys })).toThrow(deniedBy('C18'));
});

/** Where the selection lies in the bytes of a quote of this TPM: count, bank, sizeofSelect, three bytes of bits, digest. */
const SELECTION = quoted().quote.length - (4 + 2 + 1 + 3 + 2 + 32);
const SAFE = SELECTION - 8 - 1;

function rewrite(offset: number, ...bytes: number[]) {
  return (attest: Uint8Array) => {
    const copy = Uint8Array.from(attest);
    copy.set(bytes, offset);
    return copy;
  };
}

/** The same selection with another sizeofSelect. */
function resizedSelect(size: number) {
  return (attest: Uint8Array) => {
    const bits = new Uint8Array(size).with(0, 0xff);
    return concat(attest.subarray(0, SELECTION + 6), Uint8Array.of(size), bits, attest.subarray(SELECTION + 10));
  };
}

const repeatedBank = (attest: Uint8Array) =>
  concat(
    attest.subarray(0, SELECTION),
    u32(2),
    attest.subarray(SELECTION + 4, SELECTION + 10),
    attest.subarray(SELECTION + 4),
  );

/** Each as it should be, but for their number. */
const manyBanks = (attest: Uint8Array) =>
  concat(
    attest.subarray(0, SELECTION),
    u32(17),
    ...Array.from({ length: 17 }, (_, index) => concat(u16(0x100 + index), Uint8Array.of(3, 0, 0, 0))),
    attest.subarray(SELECTION + 10),
  );

const other = new SoftwareTpm();
const NONE = new Uint8Array(0);

const REFUSED: readonly (readonly [string, string, QuoteEvidence, Partial<QuoteExpectation>])[] = [
  ['C18', 'a quote signed by another key', { ...quoted(), signature: other.signWithAk(quoted().quote) }, {}],
  ['C18', 'a changed bit', { ...quoted(), quote: rewrite(SAFE - 1, 9)(quoted().quote) }, {}],
  ['C18', 'bytes that are no quote and not signed', { ...quoted(), quote: Uint8Array.of(1, 2, 3) }, {}],
  ['C18', 'SHA-1, which is not the hash of the attestation key', signedBy({ algorithm: 'ecdsa', hash: 'sha1' }), {}],
  ['C18', 'SHA-384, which is not its hash either', signedBy({ algorithm: 'ecdsa', hash: 'sha384' }), {}],
  ['C19', 'another magic', quoted({}, rewrite(0, 0x00)), {}],
  ['C19', 'another type of attestation', quoted({}, rewrite(5, 0x17)), {}],
  ['C19', 'bytes behind the quote', quoted({}, (attest) => concat(attest, Uint8Array.of(0))), {}],
  ['C19', 'sizeofSelect of 2', quoted({}, resizedSelect(2)), {}],
  ['C19', 'sizeofSelect of 5', quoted({}, resizedSelect(5)), {}],
  ['C19', 'a bank twice', quoted({}, repeatedBank), {}],
  ['C19', '17 banks', quoted({}, manyBanks), {}],
  ['C19', 'safe that is neither yes nor no', quoted({}, rewrite(SAFE, 2)), {}],
  ['B17', 'a signer under another endorsement key', quoted({ qualifiedSigner: tpm.akName }), {}],
  ['C20', 'another challenge', quoted({ extraData: QUALIFYING_DATA.with(0, 8) }), {}],
  ['C20', 'no qualifying data', quoted({ extraData: NONE }), {}],
  ['C21', 'fewer PCRs than asked for', quoted({ pcrSelections: [{ bank: 'sha256', indices: [0, 1, 2, 3] }] }), {}],
  [
    'C21',
    'PCR 16 in place of 7',
    quoted({ pcrSelections: [{ bank: 'sha256', indices: [0, 1, 2, 3, 4, 5, 6, 16] }] }),
    {},
  ],
  ['C21', 'the SHA-1 bank', quoted({ pcrSelections: [{ bank: 'sha1', indices: PCRS.indices }] }), {}],
  ['C21', 'a second bank', quoted({ pcrSelections: [PCRS, { bank: 'sha1', indices: [] }] }), {}],
  ['C21', 'no bank', quoted({ pcrSelections: [] }), {}],
  ['C22', 'a value that was not quoted', changedValue(0), {}],
  ['C22', 'values in another order', { ...quoted(), pcrValues: quoted().pcrValues.toReversed() }, {}],
  ['C22', 'a missing value', { ...quoted(), pcrValues: quoted().pcrValues.slice(1) }, {}],
  ['C22', 'two values in one', joinedValues(), {}],
  ['C23', 'PCR 16', ...overPcrs([0, 16])],
  ['C23', 'PCR 23', ...overPcrs([0, 23])],
  ['C23', 'a bank that nothing measured into', ...overPcrs([8, 9])],
  ['C24', 'a clock that is not safe', quoted({ clockInfo: { ...tpm.clockInfo, safe: false } }), {}],
];

test.each(REFUSED)('%s refuses %s', (check, _what, evidence, changes) => {
  expect(() => verifyQuote(evidence, { ...expectation, ...changes })).toThrow(deniedBy(check));
});

test('takes four bytes of PCR bits, which some TPMs write', () => {
  expect(verifyQuote(quoted({}, resizedSelect(4)), expectation).isMeasured).toBe(true);
});

test('an unmeasured bank passes where that is allowed, and says so', () => {
  const [evidence, changes] = overPcrs([8, 9]);
  expect(verifyQuote(evidence, { ...expectation, ...changes, allowUnmeasured: true }).isMeasured).toBe(false);
});

test.each([
  ['a cut quote', quoted({}, (attest) => attest.subarray(0, 40))],
  ['an unknown bank', quoted({}, rewrite(SELECTION + 4, 0x00, 0x27))],
  ['a signature that is cut off', { ...quoted(), signature: quoted().signature.subarray(0, 20) }],
  ['an HMAC for a signature', { ...quoted(), signature: Uint8Array.of(0x00, 0x05, 0x00, 0x0b) }],
  ['a byte behind the signature', { ...quoted(), signature: concat(quoted().signature, Uint8Array.of(0)) }],
])('refuses %s as no TPM structure', (_what, evidence) => {
  expect(() => verifyQuote(evidence, expectation)).toThrow(expect.objectContaining({ code: 'TPM_DATA_INVALID' }));
});

/** A good signature of the attestation key, by a scheme that is not its own. */
function signedBy(scheme: KeyScheme): QuoteEvidence {
  const evidence = quoted();
  return { ...evidence, signature: tpm.signWithAk(evidence.quote, scheme) };
}

function changedValue(position: number): QuoteEvidence {
  const evidence = quoted();
  return { ...evidence, pcrValues: evidence.pcrValues.with(position, new Uint8Array(32)) };
}

/** The same bytes to be hashed, cut elsewhere: what was PCR 1 would count as PCR 0. */
function joinedValues(): QuoteEvidence {
  const evidence = quoted();
  const joined = concat(...evidence.pcrValues);
  const cuts = [0, 31, 64, 96, 128, 160, 192, 224, 256];
  return { ...evidence, pcrValues: cuts.slice(1).map((end, position) => joined.subarray(cuts[position], end)) };
}

function overPcrs(indices: readonly number[]): [QuoteEvidence, Partial<QuoteExpectation>] {
  const pcrs: PcrRequest = { bank: 'sha256', indices };
  return [tpm.quote(QUALIFYING_DATA, pcrs), { pcrs }];
}
