import { describe, expect, test } from 'vitest';
import {
  agentId,
  isAgentId,
  isReservedId,
  parseSpiffeId,
  pathOf,
  serverId,
  spiffeIdOf,
  trustDomainOf,
} from '../../src/spiffe/spiffe-id.ts';
import { parseTrustDomain } from '../../src/spiffe/trust-domain.ts';

const refused = (message: RegExp) =>
  expect.objectContaining({ code: 'SPIFFE_ID_INVALID', message: expect.stringMatching(message) });

const accepted = [
  ['trust domain alone', '§2', 'spiffe://example.org', 'example.org', ''],
  ['one segment', '§2.2', 'spiffe://example.org/web', 'example.org', '/web'],
  ['every character of a trust domain', '§2.1', 'spiffe://az-09._x/p', 'az-09._x', '/p'],
  ['every character of a path', '§2.2', 'spiffe://a/azAZ09._-', 'a', '/azAZ09._-'],
  ['three dots are no dot segment', '§2.2', 'spiffe://a/...', 'a', '/...'],
  ['leading dot', '§2.2', 'spiffe://a/.x/..y', 'a', '/.x/..y'],
  ['an address as trust domain', '§2.1', 'spiffe://10.0.0.1/x', '10.0.0.1', '/x'],
  ['trust domain of 255 bytes', '§2.3', `spiffe://${'a'.repeat(255)}/x`, 'a'.repeat(255), '/x'],
  ['more than 2048 bytes', '§2.3', `spiffe://a/${'b'.repeat(4000)}`, 'a', `/${'b'.repeat(4000)}`],
] as const;
test.each(accepted)('accepts %s (SPIFFE-ID %s)', (_rule, _section, text, trustDomain, path) => {
  const id = parseSpiffeId(text);
  expect(id).toBe(text);
  expect(trustDomainOf(id)).toBe(trustDomain);
  expect(pathOf(id)).toBe(path);
});

const rejected = [
  ['empty text', '§2', '', /is empty/],
  ['another scheme', '§2', 'https://example.org/x', /does not start with/],
  ['upper case scheme', '§2', 'SPIFFE://example.org/x', /does not start with/],
  ['no authority', '§2', 'spiffe:/example.org', /does not start with/],
  ['empty trust domain', '§2.1', 'spiffe:///x', /trust domain is empty/],
  ['nothing after the scheme', '§2.1', 'spiffe://', /trust domain is empty/],
  ['upper case trust domain', '§2.1', 'spiffe://Example.org', /trust domain outside/],
  ['user info', '§2.1', 'spiffe://user@example.org/x', /trust domain outside/],
  ['port', '§2.1', 'spiffe://example.org:8443/x', /trust domain outside/],
  ['percent in the trust domain', '§2.1', 'spiffe://exam%20ple/x', /trust domain outside/],
  ['letter beyond ASCII in the trust domain', '§2.1', 'spiffe://münchen/x', /trust domain outside/],
  ['trust domain of 256 bytes', '§2.3', `spiffe://${'a'.repeat(256)}`, /256 characters long/],
  ['trailing slash', '§2.2', 'spiffe://example.org/', /empty path segment/],
  ['trailing slash after a segment', '§2.2', 'spiffe://example.org/a/', /empty path segment/],
  ['empty segment', '§2.2', 'spiffe://example.org/a//b', /empty path segment/],
  ['dot segment', '§2.2', 'spiffe://example.org/./a', /dot segment/],
  ['double dot segment', '§2.2', 'spiffe://example.org/a/..', /dot segment/],
  ['percent encoding', '§2.2', 'spiffe://example.org/a%2fb', /outside of letters/],
  ['query', '§2', 'spiffe://example.org/a?b', /outside of letters/],
  ['query without path', '§2', 'spiffe://example.org?b', /trust domain outside/],
  ['fragment', '§2', 'spiffe://example.org/a#b', /outside of letters/],
  ['white space', '§2.2', 'spiffe://example.org/a b', /outside of letters/],
  ['newline at the end', '§2.2', 'spiffe://example.org/a\n', /outside of letters/],
  ['NUL', '§2.2', 'spiffe://example.org/a\0', /outside of letters/],
  ['emoji', '§2.2', 'spiffe://example.org/🔑', /"🔑"/],
] as const;
test.each(rejected)('rejects %s (SPIFFE-ID %s)', (_rule, _section, text, message) => {
  expect(() => parseSpiffeId(text)).toThrow(refused(message));
});

test('every ASCII character is accepted or rejected as §2.1 and §2.2 say', () => {
  for (let code = 0; code < 128; code++) {
    const character = String.fromCharCode(code);
    if (character === '/') continue;
    const inTrustDomain = () => parseSpiffeId(`spiffe://a${character}b/x`);
    const inPath = () => parseSpiffeId(`spiffe://a/x${character}y`);
    if (/[a-z0-9._-]/.test(character)) expect(inTrustDomain).not.toThrow();
    else expect(inTrustDomain).toThrow(refused(/./));
    if (/[a-zA-Z0-9._-]/.test(character)) expect(inPath).not.toThrow();
    else expect(inPath).toThrow(refused(/./));
  }
});

test('a message quotes 200 characters of a hostile text at most', () => {
  const text = `spiffe://${'!'.repeat(100_000)}`;
  expect(() => parseSpiffeId(text)).toThrow(expect.objectContaining({ message: expect.stringMatching(/^.{1,400}$/) }));
});

describe('trust domain', () => {
  test.each([
    ['a name', 'example.org'],
    ['a SPIFFE ID without path', 'spiffe://example.org'],
  ])('is parsed from %s', (_what, text) => {
    expect(parseTrustDomain(text)).toBe('example.org');
  });

  test.each([
    ['empty text', ''],
    ['a scheme alone', 'spiffe://'],
    ['a SPIFFE ID with a path', 'spiffe://example.org/web'],
    ['a trailing slash', 'spiffe://example.org/'],
    ['upper case', 'Example.org'],
  ])('is not %s (§2.1)', (_what, text) => {
    expect(() => parseTrustDomain(text)).toThrow(refused(/trust domain/));
  });
});

describe('built IDs', () => {
  const trustDomain = parseTrustDomain('example.org');

  test('agents and servers live below /spire', () => {
    expect(agentId(trustDomain, 'tpm', 'ab12')).toBe('spiffe://example.org/spire/agent/tpm/ab12');
    expect(serverId(trustDomain)).toBe('spiffe://example.org/spire/server');
  });

  test('what is generated has 2048 bytes at most (§2.3)', () => {
    const longest = 2048 - 'spiffe://example.org/'.length;
    expect(spiffeIdOf(trustDomain, `/${'a'.repeat(longest)}`)).toHaveLength(2048);
    expect(() => spiffeIdOf(trustDomain, `/${'a'.repeat(longest + 1)}`)).toThrow(refused(/2048 at most/));
  });

  test.each(['web', '/', '/a/', '/../b'])('path %s is refused', (path) => {
    expect(() => spiffeIdOf(trustDomain, path)).toThrow(refused(/path/));
  });

  test.each([
    ['spiffe://a', false, false],
    ['spiffe://a/spire', false, true],
    ['spiffe://a/spire/server', false, true],
    ['spiffe://a/spire/agent', false, true],
    ['spiffe://a/spire/agent/x', true, true],
    ['spiffe://a/spirex/agent/x', false, false],
    ['spiffe://a/web/spire/agent/x', false, false],
  ])('%s: agent %s, reserved %s', (text, isAgent, isReserved) => {
    const id = parseSpiffeId(text);
    expect(isAgentId(id)).toBe(isAgent);
    expect(isReservedId(id)).toBe(isReserved);
  });
});
