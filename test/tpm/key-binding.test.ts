import { generateKeyPairSync } from 'node:crypto';
import { expect, test } from 'vitest';
import { SoftwareTpm } from '../../src/testing/software-tpm.ts';
import type { CertifyAttest } from '../../src/tpm/attest.ts';
import { requireAttestationKey } from '../../src/tpm/attestation-key.ts';
import { requireEndorsementKey } from '../../src/tpm/endorsement-key.ts';
import { type KeyBindingEvidence, type KeyBindingExpectation, verifyKeyBinding } from '../../src/tpm/key-binding.ts';
import { nameOf } from '../../src/tpm/names.ts';
import { OBJECT_ATTRIBUTES, type ObjectAttribute } from '../../src/tpm/object-attributes.ts';
import { type EccPublicArea, encodePublic } from '../../src/tpm/public-area.ts';
import { deniedBy } from '../harness/denied.ts';
import { madeKeyArea } from './made-key.ts';

const tpm = new SoftwareTpm();
const other = new SoftwareTpm();
const CSR_KEY = newKey();
const QUALIFYING_DATA = new Uint8Array(32).fill(7);
const { clockInfo, firmwareVersion } = tpm;
const expected: KeyBindingExpectation = {
  ek: requireEndorsementKey(tpm.ekPublic),
  ak: requireAttestationKey(tpm.akPublic),
  qualifyingData: QUALIFYING_DATA,
  csrPublicKey: CSR_KEY,
  quote: { clockInfo, firmwareVersion },
};

function newKey(): Uint8Array {
  const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return new Uint8Array(publicKey.export({ type: 'spki', format: 'der' }));
}

function bound(
  area: Partial<EccPublicArea> = {},
  {
    by = tpm,
    attest = {},
    key = CSR_KEY,
  }: { by?: SoftwareTpm; attest?: Partial<CertifyAttest>; key?: Uint8Array } = {},
): KeyBindingEvidence {
  const publicArea = madeKeyArea(key, area);
  return { publicArea: encodePublic(publicArea), ...by.certify(nameOf(publicArea), QUALIFYING_DATA, attest) };
}

const without = (attribute: ObjectAttribute) => ({
  attributes: madeKeyArea(CSR_KEY).attributes & ~OBJECT_ATTRIBUTES[attribute],
});

test('a key that the TPM made for itself is bound to it', () => {
  expect(() => verifyKeyBinding(bound(), expected)).not.toThrow();
});

const refused: readonly (readonly [string, string, KeyBindingEvidence])[] = [
  ['H51', 'a name by SHA-1', bound({ nameAlg: 'sha1' })],
  ...(['fixedTPM', 'fixedParent', 'sensitiveDataOrigin', 'sign'] as const).map(
    (attribute) => ['H52', `no ${attribute}`, bound(without(attribute))] as const,
  ),
  ['H53', 'another key of the same TPM', bound({}, { key: newKey() })],
  ['H54', 'another run of the TPM', bound({}, { attest: { clockInfo: { ...clockInfo, resetCount: 9 } } })],
  ['H54', 'another resumption', bound({}, { attest: { clockInfo: { ...clockInfo, restartCount: 9 } } })],
  ['H54', 'another firmware', bound({}, { attest: { firmwareVersion: 9n } })],
  ['B13', 'the public area of another key', { ...bound({}, { key: newKey() }), publicArea: bound().publicArea }],
  ['B13', 'an attribute added afterwards', { ...bound(without('fixedTPM')), publicArea: bound().publicArea }],
  ['B17', 'an attestation key that lies elsewhere', bound({}, { attest: { qualifiedSigner: nameOf(tpm.ak) } })],
  ['C18', 'the certification of another TPM', bound({}, { by: other })],
  ['C20', 'one that was made for another challenge', bound({}, { attest: { extraData: new Uint8Array(32) } })],
];
test.each(refused)('%s refuses %s', (check, _what, evidence) => {
  expect(() => verifyKeyBinding(evidence, expected)).toThrow(deniedBy(check));
});
