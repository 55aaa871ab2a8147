import { expect, test } from 'vitest';
import { SoftwareTpm } from '../../src/testing/software-tpm.ts';
import { type CertifyAttest, encodeCertifyAttest, parseCertifyAttest } from '../../src/tpm/attest.ts';
import { requireAttestationKey } from '../../src/tpm/attestation-key.ts';
import {
  type CertificationEvidence,
  type CertificationExpectation,
  verifyCertification,
} from '../../src/tpm/certification.ts';
import { requireEndorsementKey } from '../../src/tpm/endorsement-key.ts';
import { concat } from '../../src/tpm/tpm-writer.ts';
import { deniedBy } from '../harness/denied.ts';
import { toHex } from './vectors.ts';

const tpm = new SoftwareTpm();
const other = new SoftwareTpm();
const NAME = concat(Uint8Array.of(0x00, 0x0b), new Uint8Array(32).fill(5));
const QUALIFYING_DATA = new Uint8Array(32).fill(7);
const expected: CertificationExpectation = {
  ak: requireAttestationKey(tpm.akPublic),
  name: NAME,
  binding: { qualifyingData: QUALIFYING_DATA, ek: requireEndorsementKey(tpm.ekPublic) },
};
const { binding: _, ...unbound } = expected;

const certified = (changes?: Partial<CertifyAttest>, changeBytes?: (attest: Uint8Array) => Uint8Array) =>
  tpm.certify(NAME, QUALIFYING_DATA, changes, changeBytes);
const withByte = (position: number, value: number) => certified({}, (attest) => attest.with(position, value));

test('verifies, and says what is in it', () => {
  const evidence = certified();
  const certification = verifyCertification(evidence, expected);
  expect(toHex(certification.name)).toBe(toHex(NAME));
  expect(toHex(encodeCertifyAttest(parseCertifyAttest(evidence.attest)))).toBe(toHex(evidence.attest));
});

test('is bound to an exchange only where that is asked for', () => {
  const loose = { extraData: new Uint8Array(0), qualifiedSigner: NAME };
  expect(toHex(verifyCertification(certified(loose), unbound).name)).toBe(toHex(NAME));
  expect(() => verifyCertification(certified(loose), expected)).toThrow(deniedBy('B17'));
});

type Refused = readonly [string, string, CertificationEvidence, Partial<CertificationExpectation>];
const refused: readonly Refused[] = [
  ['C18', 'the signature of another attestation key', other.certify(NAME, QUALIFYING_DATA), {}],
  ['C18', 'a byte changed after signing', { ...certified(), attest: certified().attest.with(40, 9) }, {}],
  [
    'C18',
    'another hash than the attestation key has',
    { ...certified(), signature: tpm.signWithAk(certified().attest, { algorithm: 'ecdsa', hash: 'sha384' }) },
    {},
  ],
  ['C19', 'what no TPM generated', withByte(0, 0x00), {}],
  ['C19', 'a quote', tpmQuote(), {}],
  ['C19', 'a clock that is neither safe nor unsafe', withByte(6 + 2 + 34 + 2 + 32 + 16, 2), {}],
  ['C19', 'a byte behind it', certified({}, (attest) => concat(attest, Uint8Array.of(0))), {}],
  ['B13', 'the name of another key', certified({ name: NAME.with(5, 1) }), {}],
  ['B17', 'a signer from elsewhere', certified({ qualifiedSigner: NAME }), {}],
  ['B17', 'another endorsement key', certified(), { binding: bindingOf(other) }],
  ['C20', 'other qualifying data', certified({ extraData: new Uint8Array(32) }), {}],
  ['C20', 'no qualifying data', certified({ extraData: new Uint8Array(0) }), {}],
];
test.each(refused)('%s refuses %s', (check, _what, evidence, changes) => {
  expect(() => verifyCertification(evidence, { ...expected, ...changes })).toThrow(deniedBy(check));
});

test('refuses what is cut off', () => {
  const cut = expect.objectContaining({ code: 'TPM_DATA_INVALID' });
  for (const length of [5, 40, 100]) {
    const evidence = certified({}, (attest) => attest.subarray(0, length));
    expect(() => verifyCertification(evidence, expected)).toThrow(cut);
  }
});

function tpmQuote(): CertificationEvidence {
  const { quote, signature } = tpm.quote(QUALIFYING_DATA, { bank: 'sha256', indices: [0] });
  return { attest: quote, signature };
}

function bindingOf({ ekPublic }: SoftwareTpm) {
  return { qualifyingData: QUALIFYING_DATA, ek: requireEndorsementKey(ekPublic) };
}
