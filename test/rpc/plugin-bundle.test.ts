import { describe, expect, test } from 'vitest';
import { fromWireBundle, fromWireJwtAuthority, toWireBundle } from '../../src/rpc/plugin-bundle.ts';
import { emptyBundle } from '../../src/spiffe/bundle.ts';
import { parseTrustDomain } from '../../src/spiffe/trust-domain.ts';

const KEY = { keyId: 'k', publicKey: Uint8Array.of(1), expiresAt: 0n, tainted: false };
const BUNDLE = toWireBundle(emptyBundle(parseTrustDomain('example.org')));

describe('bundles between a host and its plugins (plugin-wire §7)', () => {
  test('keys of a kind that is not known are left out', () => {
    expect(fromWireBundle({ ...BUNDLE, witAuthorities: [KEY] })).toEqual(emptyBundle(parseTrustDomain('example.org')));
  });

  test.each([
    ['no bundle', undefined, 'BUNDLE_INVALID', /the message has no bundle/],
    ['a trust domain that is none', { ...BUNDLE, trustDomain: 'Example' }, 'SPIFFE_ID_INVALID', /Example/],
    [
      'a hint before the beginning of time',
      { ...BUNDLE, refreshHint: -1n },
      'BUNDLE_INVALID',
      /the refresh hint is -1/,
    ],
  ])('%s is refused', (_what, bundle, code, message) => {
    expect(() => fromWireBundle(bundle)).toThrow(
      expect.objectContaining({ code, message: expect.stringMatching(message) }),
    );
  });

  test.each([
    ['no key id', { ...KEY, keyId: '' }, /has no key id/],
    ['no key', { ...KEY, publicKey: new Uint8Array() }, /JWT key "k" is empty/],
    ['an expiry that no number holds', { ...KEY, expiresAt: 2n ** 62n }, /the expiry of JWT key "k" is 46/],
  ])('a JWT key with %s is refused', (_what, key, message) => {
    expect(() => fromWireJwtAuthority(key)).toThrow(
      expect.objectContaining({ code: 'BUNDLE_INVALID', message: expect.stringMatching(message) }),
    );
  });
});
