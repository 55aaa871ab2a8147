import { expect, test } from 'vitest';
import { findToken, type TokenFacts } from '../../src/pkcs11/find-token.ts';

const token = (label: string, serial: string): TokenFacts => ({
  ...{ label, serial, manufacturer: 'SoftHSM project', model: 'SoftHSM v2', flags: 0x400 },
});
const TOKENS = [token('ca', 'a1'), token('ca', 'b2'), token('other', 'c3'), token('twin', 'd4'), token('twin', 'd4')];

test.each([
  ['label', { label: 'other' }, 'c3'],
  ['serial number', { serial: 'b2' }, 'b2'],
  ['both', { label: 'ca', serial: 'a1' }, 'a1'],
])('a token is found by its %s', (_by, selection, serial) => {
  expect(findToken(TOKENS, selection).serial).toBe(serial);
});

test.each([
  [
    'none of that label',
    TOKENS.slice(2, 3),
    { label: 'ca' },
    'UNAVAILABLE',
    /no token with the label "ca": its tokens are "other" \(serial number "c3"\)$/,
  ],
  ['none at all', [], { label: 'ca' }, 'UNAVAILABLE', /no token with the label "ca": it has no token$/],
  [
    'label and serial number of two tokens',
    TOKENS,
    { label: 'other', serial: 'a1' },
    'UNAVAILABLE',
    /with the label "other" and the serial number "a1"/,
  ],
  [
    'two alike',
    TOKENS,
    { label: 'ca' },
    'FAILED_PRECONDITION',
    /2 tokens with the label "ca": .*"a1".*"b2".*; say which one by "token_serial"$/,
  ],
  [
    'two that nobody can tell apart',
    TOKENS,
    { label: 'twin' },
    'FAILED_PRECONDITION',
    /2 tokens .*; they cannot be told apart, so initialize one of them with another label$/,
  ],
  ['a label in another case', TOKENS, { label: 'CA' }, 'UNAVAILABLE', /no token with the label "CA"/],
] as const)('%s is refused, and the reason says what there is', (_what, tokens, selection, code, message) => {
  expect(() => findToken(tokens, selection)).toThrow(
    expect.objectContaining({ code, message: expect.stringMatching(message) }),
  );
});

test('of many tokens the reason names the first ones', () => {
  const many = Array.from({ length: 20 }, (_, index) => token(`t${index}`, `${index}`));
  expect(() => findToken(many, { label: 'x' })).toThrow(/"t7" \(serial number "7"\), 12 more$/);
});
