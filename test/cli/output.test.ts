import { describe, expect, test } from 'vitest';
import { formatResult } from '../../src/cli/format-conformance.ts';
import {
  formatCount,
  formatFailure,
  formatField,
  formatProtoJson,
  formatTime,
  statusName,
} from '../../src/cli/output.ts';

const json = [
  [
    'the names of the proto files',
    { x509SvidTtl: 1, jwtSvidIncludeJti: true, asn1: '' },
    '{"asn1":"","jwt_svid_include_jti":true,"x509_svid_ttl":1}',
  ],
  ['a name with digits before small letters', { x509svidSerialNumber: '1' }, '{"x509svid_serial_number":"1"}'],
  ['64-bit numbers as texts', { expiresAt: 9007199254740993n }, '{"expires_at":"9007199254740993"}'],
  ['bytes in base64', { asn1: Uint8Array.of(255, 0) }, '{"asn1":"/wA="}'],
  ['empty values', { ids: [], hint: '', admin: false }, '{"admin":false,"hint":"","ids":[]}'],
  ['nothing for a message that is absent', { id: undefined, hint: 'a' }, '{"hint":"a"}'],
  [
    'keys of maps as they are',
    { bundles: { 'spiffe://A.b': Uint8Array.of(1) } },
    '{"bundles":{"spiffe://A.b":"AQ=="}}',
  ],
  [
    'the one of several fields that is there under its name',
    { bundleEndpointProfile: { $case: 'httpsSpiffe', value: { endpointSpiffeId: 'a' } } },
    '{"https_spiffe":{"endpoint_spiffe_id":"a"}}',
  ],
  ['a list as an array', [{ a: 1 }, { b: 2 }], '[{"a":1},{"b":2}]'],
] as const;

test.each(json)('JSON has %s', (_what, message, text) => {
  expect(formatProtoJson(message)).toBe(`${text}\n`);
});

test('JSON has what is JSON already as it is', () => {
  expect(formatProtoJson({ claims: { fooBar: { bazQux: 1 } } }, ['claims'])).toBe(
    '{"claims":{"fooBar":{"bazQux":1}}}\n',
  );
});

test.each([
  ['a date', new Date('2026-01-02T03:04:05.678Z'), '2026-01-02 03:04:05 +0000 UTC'],
  ['Unix seconds', 1767323045n, '2026-01-02 03:04:05 +0000 UTC'],
  ['Unix seconds beyond every calendar', 2n ** 63n - 1n, 'invalid time'],
])('prints %s as Go does', (_what, time, text) => {
  expect(formatTime(time)).toBe(text);
});

test.each([
  [0, 'OK'],
  [1, 'Canceled'],
  [6, 'AlreadyExists'],
  [99, 'Code(99)'],
])('names status %d %s', (code, name) => {
  expect(statusName(code)).toBe(name);
});

test('counts one and many', () => {
  expect([0, 1, 2].map((count) => formatCount(count, 'entry', 'entries'))).toEqual([
    '0 entries',
    '1 entry',
    '2 entries',
  ]);
});

test('aligns fields', () => {
  expect(formatField('Entry ID', 'x', 24)).toBe('Entry ID                : x\n');
});

test('a field stays on its line, and says nothing to the terminal', () => {
  const value = 'x\nSPIFFE ID: spiffe://evil\u001b[2J\u009b1m\u2028é';
  expect(formatField('Selector', value, 10)).toBe(
    'Selector  : x\\nSPIFFE ID: spiffe://evil\\u001b[2J\\u009b1m\\u2028é\n',
  );
});

describe('what a plugin says does not speak to the terminal', () => {
  // Colours, a title, back to the start of the line, one of C1, and letters from right to left.
  const hostile = '\x1b[31m\x1b]0;title\x07\rError\x9b2J\u202egpj';
  const escaped = '\\u001b[31m\\u001b]0;title\\u0007\\u000dError\\u009b2J\\u202egpj';
  const rule = { id: 'x', title: 'y', source: '§1', level: 'must', milliseconds: 1, verdict: 'FAIL' } as const;

  test.each([
    ['in a field', formatField('Last error', hostile, 10), `Last error: ${escaped}\n`],
    ['in the reason of a failure', formatFailure(new Error(`${hostile}\nb`)), `Error: ${escaped}\nError: b\n`],
    ['in that of a rule', formatResult({ ...rule, reason: `${hostile}\nb` }).split(' (§1): ')[1], `${escaped}\\nb\n`],
  ])('%s', (_where, printed, expected) => {
    expect(printed).toBe(expected);
  });
});
