import { generateKeyPairSync, hash, type KeyObject, verify } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { hashOfKeyType, type KeyType, signerOfKeyObject, signMessage } from '../../src/x509/signer.ts';
import { publicKeyOfSpki } from '../../src/x509/spki.ts';

const keys: readonly (readonly [KeyType, KeyObject])[] = [
  ['ec-p256', generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey],
  ['ec-p384', generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey],
  ['rsa-2048', generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey],
];
const message = Buffer.from('message');

describe.each(keys)('%s', (keyType, key) => {
  const signer = signerOfKeyObject(key);

  test('signs a message', async () => {
    expect(signer.keyType).toBe(keyType);
    const signature = await signMessage(signer, message);
    expect(verify(hashOfKeyType(keyType), message, publicKeyOfSpki(signer.publicKey), signature)).toBe(true);
  });

  test.each(['sha256', 'sha384', 'sha512'] as const)('a %s digest', async (name) => {
    const signing = signer.signDigest(hash(name, message, 'buffer'), name);
    if (keyType === 'rsa-2048') {
      expect(verify(name, message, publicKeyOfSpki(signer.publicKey), await signing)).toBe(true);
    } else {
      await expect(signing).rejects.toThrow(expect.objectContaining({ code: 'UNIMPLEMENTED' }));
    }
  });
});

test('a signer without signMessage is given the digest', async () => {
  const digests: string[] = [];
  const { publicKey } = signerOfKeyObject(generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey);
  const signDigest = async (digest: Uint8Array, name: string) => {
    digests.push(`${name} ${Buffer.from(digest).toString('hex')}`);
    return Uint8Array.of(1);
  };
  expect(await signMessage({ publicKey, keyType: 'ec-p384', signDigest }, message)).toEqual(Uint8Array.of(1));
  expect(digests).toEqual([`sha384 ${hash('sha384', message)}`]);
});

test.each([
  ['a public key', generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey],
  ['another curve', generateKeyPairSync('ec', { namedCurve: 'P-521' }).privateKey],
  ['Ed25519', generateKeyPairSync('ed25519').privateKey],
])('refuses %s', (_name, key) => {
  expect(() => signerOfKeyObject(key)).toThrow(expect.objectContaining({ code: 'ARGUMENT_INVALID' }));
});
