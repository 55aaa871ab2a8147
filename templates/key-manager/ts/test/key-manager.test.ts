import assert from 'node:assert/strict';
import { createHash, createPublicKey, verify } from 'node:crypto';
import { test } from 'node:test';
import { type KeyType, SoftwareKeys } from 'assayer/plugin-sdk';
import { keyManager } from '../src/key-manager.ts';

const TYPES: readonly KeyType[] = ['ec-p256', 'ec-p384', 'rsa-2048', 'rsa-4096'];

for (const type of TYPES) {
  test(`a key of type ${type} signs what its public key verifies`, async () => {
    using keys = new SoftwareKeys();
    const { publicKey, fingerprint } = await keys.generate('one', type);
    const data = Buffer.from('data');
    const digest = createHash('sha256').update(data).digest();
    const signed = keys.sign('one', digest, { scheme: 'default', hash: 'sha256' });
    assert.equal(signed.fingerprint, fingerprint);
    const key = createPublicKey({ key: Buffer.from(publicKey), format: 'der', type: 'spki' });
    assert.ok(verify('sha256', data, key, signed.signature));
  });
}

test('there is one for each program', () => {
  assert.deepEqual(
    (['server', 'agent'] as const).map((side) => keyManager(side).side),
    ['server', 'agent'],
  );
});
