import { describe, expect, test } from 'vitest';
import type { ListedKey } from '../../../src/pkcs11/protocol.ts';
import { labelPrefix, madeAt, newCkaId, sortKeys } from '../../../src/plugins/pkcs11/key-names.ts';

const NOW = Date.UTC(2030, 0, 1);
const SPKI = Uint8Array.of(1);

const key = (label: string, made: number, parts: 'both' | 'public' | 'private' = 'both'): ListedKey => ({
  label,
  ckaId: newCkaId(0n, made),
  hasPrivateKey: parts !== 'public',
  publicKey: parts === 'private' ? undefined : SPKI,
});

test('labels name the trust domain, the side, and which server', () => {
  const prefix = labelPrefix({ trustDomain: 'example.org', side: 'server', identifier: 'ca-1' });
  expect(prefix).toBe('assayer:example.org:server:ca-1:');
  const others = [
    { trustDomain: 'example.org', side: 'agent', identifier: 'ca-1' },
    { trustDomain: 'example.org', side: 'server', identifier: 'ca-11' },
    { trustDomain: 'example.or', side: 'server', identifier: 'ca-1' },
  ] as const;
  for (const other of others) {
    const theirs = labelPrefix(other);
    expect(theirs.startsWith(prefix) || prefix.startsWith(theirs)).toBe(false);
  }
});

test('a new key is newer than every other, also where the clock went back, and no two are alike', () => {
  const first = newCkaId(0n, NOW);
  const second = newCkaId(madeAt({ ckaId: first }) ?? 0n, NOW - 1_000_000);
  expect(madeAt({ ckaId: second })).toBe(BigInt(NOW) + 1n);
  expect(newCkaId(0n, NOW)).not.toEqual(newCkaId(0n, NOW));
});

describe('of the keys of one label', () => {
  const older = key('a', NOW - 200_000);
  const newer = key('a', NOW - 100_000);
  const other = key('b', NOW - 300_000);

  test.each([
    ['one counts', [older], [older], []],
    ['the newest counts, in whatever order the token has them', [newer, other, older], [newer, other], [older]],
    ['of three two are left over', [newer, older, key('a', NOW - 900_000)], [newer], 2],
    ['a newer half does not count', [older, key('a', NOW - 90_000, 'public')], [older], 1],
    ['a half that is being made is left alone', [older, key('a', NOW - 1_000, 'public')], [older], []],
    ['a private key without its public one is neither used nor destroyed', [key('a', 0, 'private')], [], []],
    ['a key of somebody else is neither', [{ ...older, ckaId: Uint8Array.of(1) }, newer], [newer], []],
    ['half of an older one is left over', [newer, key('a', 1, 'public')], [newer], 1],
  ])('%s', (_rule, keys, current, leftOver) => {
    const sorted = sortKeys(keys, NOW);
    expect(new Set(sorted.current.values())).toEqual(new Set(current));
    if (typeof leftOver === 'number') expect(sorted.leftOver).toHaveLength(leftOver);
    else expect(sorted.leftOver).toEqual(leftOver);
  });
});
