import { expect, test } from 'vitest';
import { formatHandshake, type Handshake, MAX_HANDSHAKE_BYTES, parseHandshake } from '../../src/rpc/handshake.ts';

const plain: Handshake = {
  coreVersion: 1,
  protocolVersion: 1,
  network: 'unix',
  address: '/tmp/plugin1',
  protocol: 'grpc',
};
const certificate = Uint8Array.from({ length: 100 }, (_, octet) => octet);

const accepted: readonly (readonly [string, string, Handshake])[] = [
  ['as Go writes it', '1|1|unix|/tmp/plugin1|grpc|', plain],
  ['with its line feed', '1|1|unix|/tmp/plugin1|grpc|\r\n', plain],
  ['five fields', '1|1|unix|/tmp/plugin1|grpc', plain],
  ['four fields mean net/rpc', '1|1|unix|/tmp/plugin1', { ...plain, protocol: 'netrpc' }],
  ['multiplexing', '1|1|unix|/tmp/plugin1|grpc||false', { ...plain, multiplexed: false }],
  ['a short certificate field is none', '1|1|unix|/tmp/plugin1|grpc|abc', plain],
  [
    'a certificate without padding',
    `1|1|unix|/tmp/plugin1|grpc|${Buffer.from(certificate).toString('base64').replace(/=+$/, '')}`,
    { ...plain, certificate },
  ],
];
test.each(accepted)('parses %s (§2)', (_what, line, handshake) => {
  expect(parseHandshake(line)).toEqual(handshake);
});

test.each([
  ['noise', 'Starting up', /not a handshake/],
  ['three fields', '1|1|unix', /not a handshake/],
  ['eight fields', '1|1|unix|/a|grpc||true|x', /not a handshake/],
  ['another network', '1|1|udp|/a|grpc|', /network "udp"/],
  ['no address', '1|1|unix||grpc|', /empty address/],
  ['a version that is no number', '1|one|unix|/a|grpc|', /application protocol version "one"/],
  ['a version beyond numbers', `${'9'.repeat(40)}|1|unix|/a|grpc|`, /core protocol version/],
  ['padding', `1|1|unix|/a|grpc|${'A'.repeat(62)}==`, /not base64/],
  ['multiplexing that is neither', '1|1|unix|/a|grpc||maybe', /multiplexing/],
  ['more than any handshake', 'x'.repeat(MAX_HANDSHAKE_BYTES + 1), /longer than/],
])('refuses %s (§2)', (_what, line, message) => {
  expect(() => parseHandshake(line)).toThrow(
    expect.objectContaining({ code: 'PLUGIN_PROTOCOL', message: expect.stringMatching(message) }),
  );
});

test.each([
  plain,
  { ...plain, certificate },
  { ...plain, multiplexed: true },
  { ...plain, certificate, multiplexed: false },
])('formatting is the inverse: %o', (handshake) => {
  expect(parseHandshake(formatHandshake(handshake))).toEqual(handshake);
});

test('what the host does not ask for is an empty field 6 (§2)', () => {
  expect(formatHandshake(plain)).toBe('1|1|unix|/tmp/plugin1|grpc|');
});
