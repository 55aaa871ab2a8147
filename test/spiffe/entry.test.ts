import { expect, test } from 'vitest';
import { type RegistrationEntry, requireValidEntry } from '../../src/spiffe/entry.ts';
import { parseSpiffeId } from '../../src/spiffe/spiffe-id.ts';
import { parseTrustDomain } from '../../src/spiffe/trust-domain.ts';

const trustDomain = parseTrustDomain('example.org');
const valid: RegistrationEntry = {
  id: '',
  parentId: parseSpiffeId('spiffe://example.org/spire/agent/tpm/ab'),
  spiffeId: parseSpiffeId('spiffe://example.org/web'),
  selectors: [{ type: 'unix', value: 'uid:0' }],
  x509SvidTtlSeconds: 0,
  jwtSvidTtlSeconds: 0,
  federatesWith: [],
  admin: false,
  downstream: false,
  storeSvid: false,
  dnsNames: [],
  expiresAt: 0,
  hint: '',
  revisionNumber: 0,
  createdAt: 0,
  jwtSvidIncludeJti: false,
  disableX509SvidPrefetch: false,
};
const selector = (type: string, value = 'x') => ({ type, value });

const accepted: readonly [rule: string, change: Partial<RegistrationEntry>][] = [
  ['as it is', {}],
  ['an ID of its own', { id: 'web.1_a-b' }],
  ['an ID of 255 characters', { id: 'a'.repeat(255) }],
  ['a node alias: the server as parent', { parentId: parseSpiffeId('spiffe://example.org/spire/server') }],
  ['a workload as parent', { parentId: parseSpiffeId('spiffe://example.org/host') }],
  ['admin and downstream', { admin: true, downstream: true }],
  ['selectors of several types', { selectors: [selector('a'), selector('b')] }],
  ['a stored SVID with one type', { storeSvid: true, selectors: [selector('a', '1'), selector('a', '2')] }],
  ['the largest TTL', { x509SvidTtlSeconds: 2 ** 31 - 1, jwtSvidTtlSeconds: 2 ** 31 - 1 }],
  ['DNS names', { dnsNames: ['web', 'web.example.org', '*.example.org', 'xn--mnchen-3ya.de', '1.2'] }],
  ['a label of 63', { dnsNames: [`${'a'.repeat(63)}.org`] }],
  ['a hint of 1024 bytes', { hint: 'ü'.repeat(512) }],
];
test.each(accepted)('accepts %s', (_rule, change) => {
  expect(() => requireValidEntry({ ...valid, ...change }, trustDomain)).not.toThrow();
});

const rejected: readonly [rule: string, change: Partial<RegistrationEntry>, message: RegExp][] = [
  ['an ID of 256 characters', { id: 'a'.repeat(256) }, /entry ID .* too long/],
  ['an ID with a slash', { id: 'a/b' }, /entry ID "a\/b"/],
  [
    'a parent of another trust domain',
    { parentId: parseSpiffeId('spiffe://other.org/x') },
    /parent ID .* not a member/,
  ],
  ['a parent without path', { parentId: parseSpiffeId('spiffe://example.org') }, /parent ID .* no path/],
  [
    'a SPIFFE ID of another trust domain',
    { spiffeId: parseSpiffeId('spiffe://other.org/x') },
    /SPIFFE ID .* not a member/,
  ],
  ['a SPIFFE ID without path', { spiffeId: parseSpiffeId('spiffe://example.org') }, /SPIFFE ID .* no path/],
  ['a reserved SPIFFE ID', { spiffeId: parseSpiffeId('spiffe://example.org/spire/server') }, /reserved/],
  ['the root of the reserved IDs', { spiffeId: parseSpiffeId('spiffe://example.org/spire') }, /reserved/],
  ['no selectors', { selectors: [] }, /selector list is empty/],
  ['a selector without type', { selectors: [selector('')] }, /no type/],
  ['a selector without value', { selectors: [selector('a', '')] }, /no value/],
  ['a selector type with a colon', { selectors: [selector('a:b')] }, /has a colon/],
  ['a selector twice', { selectors: [selector('a'), selector('a')] }, /given twice/],
  ['a stored SVID with two types', { storeSvid: true, selectors: [selector('a'), selector('b')] }, /one type/],
  ['a negative X509-SVID TTL', { x509SvidTtlSeconds: -1 }, /X509-SVID TTL -1/],
  ['a negative JWT-SVID TTL', { jwtSvidTtlSeconds: -1 }, /JWT-SVID TTL -1/],
  ['a TTL beyond int32', { x509SvidTtlSeconds: 2 ** 31 }, /X509-SVID TTL/],
  ['a TTL with a fraction', { jwtSvidTtlSeconds: 1.5 }, /JWT-SVID TTL/],
  ['a negative expiry', { expiresAt: -1 }, /expiry -1/],
  ['an empty DNS name', { dnsNames: [''] }, /DNS name is empty/],
  ['a DNS name with an empty label', { dnsNames: ['a..b'] }, /label ""/],
  ['a DNS name that ends in a dot', { dnsNames: ['a.b.'] }, /label ""/],
  ['a label of 64', { dnsNames: ['a'.repeat(64)] }, /1 to 63/],
  ['a label that starts with a hyphen', { dnsNames: ['-a.b'] }, /label "-a"/],
  ['a label that ends in a hyphen', { dnsNames: ['a-.b'] }, /label "a-"/],
  ['an underscore', { dnsNames: ['a_b.org'] }, /label "a_b"/],
  ['a name beyond ASCII', { dnsNames: ['münchen.de'] }, /label/],
  ['a lone wildcard', { dnsNames: ['*'] }, /label "\*"/],
  ['a wildcard in the middle', { dnsNames: ['a.*.org'] }, /label "\*"/],
  ['a wildcard within a label', { dnsNames: ['a*.org'] }, /label "a\*"/],
  ['two wildcards', { dnsNames: ['*.*.org'] }, /label "\*"/],
  ['a DNS name of 254', { dnsNames: [`${'a.'.repeat(126)}aa`] }, /longer than 253/],
  ['a DNS name twice', { dnsNames: ['a.org', 'a.org'] }, /given twice/],
  ['a hint of 1025 bytes', { hint: `${'ü'.repeat(512)}x` }, /hint .* too long/],
];
test.each(rejected)('rejects %s', (_rule, change, message) => {
  expect(() => requireValidEntry({ ...valid, ...change }, trustDomain)).toThrow(
    expect.objectContaining({ message: expect.stringMatching(message) }),
  );
});

test('has many DNS names looked at once each', () => {
  const dnsNames = Array.from({ length: 200_000 }, (_, index) => `n${index}.org`);
  const startedAt = performance.now();
  requireValidEntry({ ...valid, dnsNames }, trustDomain);
  expect(performance.now() - startedAt).toBeLessThan(10_000); // minutes, where each is compared with all
});
