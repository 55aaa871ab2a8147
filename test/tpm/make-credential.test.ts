import { constants, createECDH, generateKeyPairSync, privateDecrypt, publicEncrypt, randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { SoftwareTpm } from '../../src/testing/software-tpm.ts';
import { TPM_CURVES } from '../../src/tpm/algorithms.ts';
import { requireEndorsementKey } from '../../src/tpm/endorsement-key.ts';
import { ephemeralScalar, scalarEntropyBytes } from '../../src/tpm/ephemeral-scalar.ts';
import { credentialEntropyBytes, makeCredential } from '../../src/tpm/make-credential.ts';
import { encodeOaep } from '../../src/tpm/oaep.ts';
import { OPENSSL_CURVES } from '../../src/tpm/openssl-curves.ts';
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

describe('what a credential is made of', () => {
  test.each(['L-1', 'L-2', 'H-2', 'H-3', 'H-4', 'H-6'] as const)('is its entropy alone, for a key of %s', (name) => {
    const software = new SoftwareTpm({ ek: name });
    const key = requireEndorsementKey(software.ekPublic);
    const entropy = randomBytes(credentialEntropyBytes(key));
    const [one, two] = [entropy, entropy].map((bytes) => makeCredential(key, software.akName, secret, bytes));
    expect(two).toEqual(one);
    const other = makeCredential(key, software.akName, secret, randomBytes(entropy.length));
    expect(toHex(other.encryptedSecret)).not.toBe(toHex(one?.encryptedSecret ?? entropy));
    expect(toHex(software.activateCredential(other.credentialBlob, other.encryptedSecret))).toBe(toHex(secret));
  });

  test.each([0, 47, 63, 65])('is not %i bytes of entropy', (length) => {
    expect(() => makeCredential(ek, tpm.akName, secret, randomBytes(length))).toThrow(RangeError);
  });

  test.each([
    ['p256', '00', 1n],
    ['p384', '00', 1n],
    ['p521', '00', 1n],
    ['p256', 'ff', undefined],
    ['p384', 'ff', undefined],
    ['p521', 'ff', undefined],
  ] as const)('on %s is a scalar of the group, also of bytes %s alone', (curve, byte, expected) => {
    const entropy = Buffer.from(byte.repeat(scalarEntropyBytes(curve)), 'hex');
    const scalar = ephemeralScalar(curve, entropy);
    expect(scalar).toHaveLength(TPM_CURVES[curve].size);
    if (expected !== undefined) expect(BigInt(`0x${toHex(scalar)}`)).toBe(expected);
    createECDH(OPENSSL_CURVES[curve]).setPrivateKey(scalar); // OpenSSL refuses what is outside
  });

  test.each(['p256', 'p384', 'p521'] as const)('on %s wraps at the order that OpenSSL has', (curve) => {
    const zero = new Uint8Array(scalarEntropyBytes(curve));
    const [one, most] = [ephemeralScalar(curve, zero), largestScalar(curve)];
    const ecdh = createECDH(OPENSSL_CURVES[curve]);
    ecdh.setPrivateKey(most);
    const last = ecdh.getPublicKey('hex', 'compressed');
    ecdh.setPrivateKey(one);
    const first = ecdh.getPublicKey('hex', 'compressed');
    expect(last.slice(2)).toBe(first.slice(2)); // (n−1)·G = −G, with the same x
    expect(last.slice(0, 2)).not.toBe(first.slice(0, 2));
  });
});

test.each([0, 16, 62])('OAEP of %i bytes is opened by OpenSSL', (length) => {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const [message, seed, label] = [randomBytes(length), randomBytes(32), Buffer.from('LABEL\0')];
  const padded = encodeOaep({ hash: 'sha256', label, message, seed, size: 256 });
  const encrypted = publicEncrypt({ key: publicKey, padding: constants.RSA_NO_PADDING }, padded);
  const options = { key: privateKey, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256', oaepLabel: label };
  expect(toHex(privateDecrypt(options, encrypted))).toBe(toHex(message));
  const tooLong = { hash: 'sha256', label, message: randomBytes(191), seed, size: 256 } as const;
  expect(() => encodeOaep(tooLong)).toThrow(RangeError);
});

/** n − 1: the entropy n − 2 is the largest remainder. */
function largestScalar(curve: 'p256' | 'p384' | 'p521'): Uint8Array {
  const { size } = TPM_CURVES[curve];
  const ecdh = createECDH(OPENSSL_CURVES[curve]);
  // The largest private key that OpenSSL takes, found bit by bit.
  let most = 0n;
  for (let bit = BigInt(size * 8 - 1); bit >= 0n; bit--) {
    const candidate = most | (1n << bit);
    try {
      ecdh.setPrivateKey(Buffer.from(candidate.toString(16).padStart(size * 2, '0'), 'hex'));
      most = candidate;
    } catch {
      // beyond the order
    }
  }
  const entropy = Buffer.from((most - 1n).toString(16).padStart(scalarEntropyBytes(curve) * 2, '0'), 'hex');
  return ephemeralScalar(curve, entropy);
}
