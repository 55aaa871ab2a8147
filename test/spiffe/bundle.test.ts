import { describe, expect, test } from 'vitest';
import {
  type Bundle,
  emptyBundle,
  hasX509Authority,
  type JwtAuthority,
  jwtAuthorityOf,
  mergeBundles,
  sameBundle,
  type X509Authority,
} from '../../src/spiffe/bundle.ts';
import { parseTrustDomain } from '../../src/spiffe/trust-domain.ts';

const empty = emptyBundle(parseTrustDomain('example.org'));
const x509 = (byte: number, tainted = false): X509Authority => ({ certificate: Uint8Array.of(byte), tainted });
const jwt = (keyId: string, byte = 1, tainted = false): JwtAuthority => ({
  keyId,
  publicKey: Uint8Array.of(byte),
  expiresAt: 0,
  tainted,
});
const bundle = (change: Partial<Bundle>): Bundle => ({ ...empty, sequenceNumber: 7n, ...change });

describe('merging', () => {
  test('gives the bundle itself where nothing is new', () => {
    const current = bundle({ x509Authorities: [x509(1)], jwtAuthorities: [jwt('a')] });
    expect(mergeBundles(current, { ...current, sequenceNumber: 99n })).toBe(current);
  });

  test('adds what is new after what is there, with the next sequence number', () => {
    const current = bundle({ x509Authorities: [x509(1)], jwtAuthorities: [jwt('a')] });
    const added = bundle({ x509Authorities: [x509(2), x509(1)], jwtAuthorities: [jwt('b')] });
    expect(mergeBundles(current, added)).toEqual(
      bundle({ x509Authorities: [x509(1), x509(2)], jwtAuthorities: [jwt('a'), jwt('b')], sequenceNumber: 8n }),
    );
  });

  test('keeps the key that a key ID has', () => {
    const merged = mergeBundles(bundle({ jwtAuthorities: [jwt('a', 1)] }), bundle({ jwtAuthorities: [jwt('a', 2)] }));
    expect(merged.jwtAuthorities).toEqual([jwt('a', 1)]);
  });

  test.each([
    [false, true],
    [true, false],
    [true, true],
  ])('an authority tainted %s and %s is tainted', (before, after) => {
    const merged = mergeBundles(
      bundle({ x509Authorities: [x509(1, before)], jwtAuthorities: [jwt('a', 1, before)] }),
      bundle({ x509Authorities: [x509(1, after)], jwtAuthorities: [jwt('a', 1, after)] }),
    );
    expect(merged.x509Authorities).toEqual([x509(1, true)]);
    expect(merged.jwtAuthorities).toEqual([jwt('a', 1, true)]);
  });

  test('takes a refresh hint only where there is none', () => {
    const hinted = bundle({ refreshHintSeconds: 60 });
    expect(mergeBundles(empty, hinted).refreshHintSeconds).toBe(60);
    expect(mergeBundles(hinted, bundle({ refreshHintSeconds: 90 })).refreshHintSeconds).toBe(60);
  });
});

test('authorities are found', () => {
  const found = bundle({ x509Authorities: [x509(1)], jwtAuthorities: [jwt('a')] });
  expect(jwtAuthorityOf(found, 'a')).toEqual(jwt('a'));
  expect(jwtAuthorityOf(found, 'b')).toBeUndefined();
  expect(hasX509Authority(found, Uint8Array.of(1))).toBe(true);
  expect(hasX509Authority(found, Uint8Array.of(2))).toBe(false);
});

test.each<[string, Partial<Bundle>, boolean]>([
  ['another sequence number', { sequenceNumber: 8n }, true],
  ['another order', { x509Authorities: [x509(2), x509(1)] }, true],
  ['another refresh hint', { refreshHintSeconds: 1 }, false],
  ['one authority less', { x509Authorities: [x509(1)] }, false],
  ['a tainted authority', { x509Authorities: [x509(1), x509(2, true)] }, false],
  ['another key', { jwtAuthorities: [jwt('a', 2)] }, false],
])('with %s bundles are the same: %s', (_what, change, expected) => {
  const base = bundle({ x509Authorities: [x509(1), x509(2)], jwtAuthorities: [jwt('a')] });
  expect(sameBundle(base, { ...base, ...change })).toBe(expected);
});
