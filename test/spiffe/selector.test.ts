import { expect, test } from 'vitest';
import {
  compareSelectors,
  containsAllSelectors,
  digestOfSelectors,
  formatSelector,
  parseSelector,
} from '../../src/spiffe/selector.ts';

test.each([
  ['unix:uid:0', { type: 'unix', value: 'uid:0' }],
  ['k8s:ns:a b', { type: 'k8s', value: 'ns:a b' }],
  ['a::', { type: 'a', value: ':' }],
])('%s is parsed and printed', (text, selector) => {
  expect(parseSelector(text)).toEqual(selector);
  expect(formatSelector(selector)).toBe(text);
});

test.each([
  ['', /no colon/],
  ['unix', /no colon/],
  [':uid:0', /no type/],
  ['unix:', /no value/],
])('%j is refused', (text, message) => {
  expect(() => parseSelector(text)).toThrow(
    expect.objectContaining({ code: 'SELECTOR_INVALID', message: expect.stringMatching(message) }),
  );
});

const select = (...texts: readonly string[]) => texts.map(parseSelector);

test.each([
  [['a:1', 'b:2'], ['a:1'], true],
  [['a:1', 'b:2'], ['b:2', 'a:1'], true],
  [['a:1'], [], true],
  [[], ['a:1'], false],
  [['a:1'], ['a:1', 'b:2'], false],
  [['a:1'], ['a:12'], false],
  [['a:b:c'], ['a:b'], false],
])('%j contains all of %j: %s', (have, wanted, expected) => {
  expect(containsAllSelectors(select(...have), select(...wanted))).toBe(expected);
});

test('order is by type, then value', () => {
  expect(select('b:1', 'a:2', 'a:1', 'a:1').toSorted(compareSelectors).map(formatSelector)).toEqual([
    'a:1',
    'a:1',
    'a:2',
    'b:1',
  ]);
});

test('the digest is that of the set, and of no other', () => {
  expect(digestOfSelectors(select('a:1', 'b:2'))).toBe(digestOfSelectors(select('b:2', 'a:1')));
  const others = [select('a:1'), select('a:1', 'b:3'), [{ type: 'a', value: '1b:2' }]];
  for (const other of others) expect(digestOfSelectors(other)).not.toBe(digestOfSelectors(select('a:1', 'b:2')));
});
