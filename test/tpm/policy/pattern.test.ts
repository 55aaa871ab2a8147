import { expect, test } from 'vitest';
import { matchesPattern } from '../../../src/tpm/policy/pattern.ts';
import { isNotOlder } from '../../../src/tpm/policy/version-order.ts';

test.each([
  ['', '', true],
  ['', 'a', false],
  ['a', 'a', true],
  ['a', 'ab', false],
  ['b', 'ab', false],
  ['*', '', true],
  ['*', 'anything\n', true],
  ['a*', 'a', true],
  ['a*', 'ba', false],
  ['*a', 'aaa', true],
  ['*a', 'ab', false],
  ['a*a', 'a', false],
  ['a*a', 'aa', true],
  ['a*b*a', 'aba', true],
  ['a*b*a', 'aa', false],
  ['ab*ba', 'aba', false],
  ['*ab*ab*', 'abab', true],
  ['*ab*ab*', 'ab ab', true],
  ['*ab*ab*', 'aab', false],
  ['**', 'x', true],
  ['a**b', 'ab', true],
  ['.', 'x', false],
  ['[a-z]+', 'abc', false],
  ['a?c', 'abc', false],
  ['/vmlinuz *quiet', '/vmlinuz root=/dev/sda1 quiet', true],
  ['/vmlinuz *quiet', '/vmlinuz root=/dev/sda1 quiet init=/bin/sh', false],
  ['*😀*', 'a😀b', true],
])('the pattern %j and the text %j', (pattern, text, isMatch) => {
  expect(matchesPattern(pattern, text)).toBe(isMatch);
});

/** By the definition: one character after the other, or a star that takes one more. */
function matchesSlowly(pattern: string, text: string): boolean {
  if (pattern === '') return text === '';
  if (pattern.startsWith('*')) {
    return matchesSlowly(pattern.slice(1), text) || (text !== '' && matchesSlowly(pattern, text.slice(1)));
  }
  return text.startsWith(pattern.charAt(0)) && matchesSlowly(pattern.slice(1), text.slice(1));
}

test('every short pattern says of every short text what the definition says', () => {
  const words = (letters: string, length: number): readonly string[] =>
    length === 0
      ? ['']
      : words(letters, length - 1).flatMap((word) => [word, ...[...letters].map((one) => word + one)]);
  const texts = [...new Set(words('ab', 5))];
  for (const pattern of new Set(words('ab*', 4))) {
    for (const text of texts) {
      if (matchesPattern(pattern, text) !== matchesSlowly(pattern, text)) expect([pattern, text]).toBe('as defined');
    }
  }
});

test('a pattern of exponential cost elsewhere has none here', () => {
  const stars = '*a'.repeat(2_000);
  const text = 'a'.repeat(100_000);
  expect(matchesPattern(`${stars}*b`, text)).toBe(false);
  expect(matchesPattern(`${stars}*b*`, text)).toBe(false);
  expect(matchesPattern(`${stars}*`, text)).toBe(true);
});

test.each([
  ['1.2', '1.2', true],
  ['1.10', '1.9', true],
  ['1.9', '1.10', false],
  ['2.0', '1.99', true],
  ['1.2.1', '1.2', true],
  ['1.2', '1.2.0', false],
  ['N2IET97W (1.75 )', 'N2IET97W (1.74 )', true],
  ['N2IET97W (1.75 )', 'N3IET97W (1.74 )', false],
  ['X1', 'N1', false],
  ['', '1', false],
  ['1', '', true],
  ['9007199254740993', '9007199254740992', true],
  ['0010', '9', true],
  ['1-1', '1.1', false],
])('the version %j and the floor %j', (version, floor, isMet) => {
  expect(isNotOlder(version, floor)).toBe(isMet);
});
