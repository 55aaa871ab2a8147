import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { SoftwareTpm } from '../../src/testing/software-tpm.ts';
import { requireEndorsementKey } from '../../src/tpm/endorsement-key.ts';
import { makeCredential } from '../../src/tpm/make-credential.ts';
import type { PublicArea } from '../../src/tpm/public-area.ts';
import { deniedBy } from '../harness/denied.ts';
import { toHex } from './vectors.ts';

const secret = randomBytes(32);

describe.each(['L-1', 'L-2', 'H-2', 'H-3', 'H-4', 'H-6'] as const)(
  'a credential for an endorsement key of %s',
  (ek) => {
    const tpm = new SoftwareTpm({ ek });
    const { credentialBlob, encryptedSecret } = makeCredential(requireEndorsementKey(tpm.ekPublic), tpm.akName, secret);

    test('B15: is opened by the TPM that holds both keys', () => {
      expect(toHex(tpm.activateCredential(credentialBlob, encryptedSecret))).toBe(toHex(secret));
    });

    test('B15: is not opened for another attestation key', () => {
      const forOther = makeCredential(requireEndorsementKey(tpm.ekPublic), new SoftwareTpm().akName, secret);
      expect(() => tpm.activateCredential(forOther.credentialBlob, forOther.encryptedSecret)).toThrow(
        'TPM_RC_INTEGRITY',
      );
    });

    test('B15: is not opened by another TPM', () => {
      const other = new SoftwareTpm({ ek });
      expect(() => other.activateCredential(credentialBlob, encryptedSecret)).toThrow();
    });
  },
);

const tpm = new SoftwareTpm();
const ek = requireEndorsementKey(tpm.ekPublic);

function withFields(fields: Partial<PublicArea>) {
  return { ...ek, publicArea: { ...ek.publicArea, ...fields } as PublicArea };
}

test.each([
  ['no symmetric algorithm', withFields({ symmetric: undefined })],
  ['SM4', withFields({ symmetric: { algorithm: 'sm4', keyBits: 128, mode: 'cfb' } })],
  ['SHA-1 as name algorithm', withFields({ nameAlg: 'sha1' })],
])('B15 refuses a key with %s', (_what, broken) => {
  expect(() => makeCredential(broken, tpm.akName, secret)).toThrow(deniedBy('B15'));
});

test.each([0, 8, 15, 33])('B16 refuses a secret of %i bytes', (length) => {
  expect(() => makeCredential(ek, tpm.akName, randomBytes(length))).toThrow(deniedBy('B16'));
});

test('no two credentials are alike', () => {
  const [one, two] = [makeCredential(ek, tpm.akName, secret), makeCredential(ek, tpm.akName, secret)];
  expect(toHex(one.credentialBlob)).not.toBe(toHex(two.credentialBlob));
  expect(toHex(one.encryptedSecret)).not.toBe(toHex(two.encryptedSecret));
});
