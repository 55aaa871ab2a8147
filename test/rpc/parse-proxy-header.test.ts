import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { parseProxyHeader } from '../../src/rpc/parse-proxy-header.ts';
import { isSpiffeError } from '../../src/spiffe/error.ts';

// HAProxy's proxy-protocol.txt, §2.1 and §2.2.
const SIGNATURE = '0d0a0d0a000d0a515549540a';
const IPV4 = 'c0000207 c0000201 9c40 1f91';
const IPV6 = '20010db8000000000000000000000007 20010db8000000000000000000000001 9c40 1f91';
const MAPPED = '00000000000000000000ffffc0000207 00000000000000000000ffffc0000201 9c40 1f91';

/** @param head command and family @param rest what follows the length, in hexadecimal like it */
function v2(head: string, rest: string, length?: number): Buffer {
  const body = Buffer.from(rest.replaceAll(' ', ''), 'hex');
  const size = Buffer.alloc(2);
  size.writeUInt16BE(length ?? body.length);
  return Buffer.concat([Buffer.from(SIGNATURE + head, 'hex'), size, body]);
}
const v1 = (line: string) => Buffer.from(`${line}\r\n`, 'latin1');

const client = { address: '192.0.2.7', port: 40_000 };
const clientV6 = { address: '2001:db8::7', port: 40_000 };
const LONGEST = `PROXY UNKNOWN ${'ffff:'.repeat(7)}ffff ${'ffff:'.repeat(7)}ffff 65535 65535`;

const accepted = [
  ['v1 TCP4', v1('PROXY TCP4 192.0.2.7 192.0.2.1 40000 8081'), client],
  ['v1 TCP6', v1('PROXY TCP6 2001:db8::7 2001:db8::1 40000 8081'), clientV6],
  ['v1 TCP6 written out', v1('PROXY TCP6 2001:0DB8:0:0:0:0:0:7 2001:db8::1 40000 8081'), clientV6],
  ['v1 TCP6 that wraps IPv4', v1('PROXY TCP6 ::ffff:192.0.2.7 ::ffff:192.0.2.1 40000 8081'), client],
  ['v1 port 0 and 65535', v1('PROXY TCP4 192.0.2.7 192.0.2.1 65535 0'), { ...client, port: 65_535 }],
  ['v1 UNKNOWN, short', v1('PROXY UNKNOWN'), undefined],
  ['v1 UNKNOWN with anything', v1('PROXY UNKNOWN x  y z'), undefined],
  ['v1 UNKNOWN, the longest', v1(LONGEST), undefined],
  ['v2 TCP over IPv4', v2('2111', IPV4), client],
  ['v2 TCP over IPv6', v2('2121', IPV6), clientV6],
  ['v2 TCP over IPv6 that wraps IPv4', v2('2121', MAPPED), client],
  ['v2 with TLVs', v2('2111', `${IPV4} 01 0002 6832 04 0000 ea 0001 00`), client],
  [
    'v2 with TLVs, the longest',
    v2('2111', `${IPV4} 04 ${(4081).toString(16).padStart(4, '0')} ${'00'.repeat(4081)}`),
    client,
  ],
  ['v2 LOCAL', v2('2000', ''), undefined],
  ['v2 LOCAL with a family and nothing', v2('2011', ''), undefined],
  ['v2 LOCAL with anything', v2('20ff', 'ffffff'), undefined],
] as const;

test.each(accepted)('%s', (_what, bytes, expected) => {
  const after = Buffer.from([0x16, 0x03, 0x01]);
  const header = parseProxyHeader(Buffer.concat([bytes, after]));
  expect(header).toEqual({ length: bytes.length, ...(expected && { client: expected }) });
  expect(parseProxyHeader(bytes)).toEqual(header);
  const [whole] = Array.from(bytes.keys()).filter((end) => parseProxyHeader(bytes.subarray(0, end)) !== undefined);
  expect(whole).toBeUndefined(); // no part of it is a header
});

const refused: readonly (readonly [string, Buffer, RegExp])[] = [
  ['v1 of another word', Buffer.from('PROXX'), /does not begin/],
  ['v1 without a space', v1('PROXYTCP4 192.0.2.7 192.0.2.1 40000 8081'), /does not begin/],
  ['an HTTP method', Buffer.from('POST / HTTP/1.1\r\n'), /does not begin/],
  ['v1 with an end of LF alone', Buffer.from('PROXY UNKNOWN\n'), /does not end with CR and LF/],
  ['v1 without an end', Buffer.from(`PROXY UNKNOWN ${'x'.repeat(93)}`), /no end within 107 bytes/],
  ['v1 with an end too late', v1(`${LONGEST}x`), /no end within 107 bytes/],
  ['v1 of no protocol', v1('PROXY'), /does not begin/],
  ['v1 of an empty protocol', v1('PROXY '), /neither TCP4/],
  ['v1 of UDP', v1('PROXY UDP4 192.0.2.7 192.0.2.1 40000 8081'), /neither TCP4/],
  ['v1 in lower case', v1('PROXY tcp4 192.0.2.7 192.0.2.1 40000 8081'), /neither TCP4/],
  ['v1 with a word missing', v1('PROXY TCP4 192.0.2.7 192.0.2.1 40000'), /a port that is none: ""/],
  ['v1 with a word more', v1('PROXY TCP4 192.0.2.7 192.0.2.1 40000 8081 1'), /more than two/],
  ['v1 with a space at the end', v1('PROXY TCP4 192.0.2.7 192.0.2.1 40000 8081 '), /more than two/],
  ['v1 with two spaces', v1('PROXY TCP4  192.0.2.7 192.0.2.1 40000'), /an address that is none of TCP4: ""/],
  ['v1 TCP4 with IPv6', v1('PROXY TCP4 ::1 192.0.2.1 40000 8081'), /none of TCP4: "::1"/],
  ['v1 TCP6 with IPv4', v1('PROXY TCP6 192.0.2.7 ::1 40000 8081'), /none of TCP6/],
  ['v1 with a wrong destination', v1('PROXY TCP4 192.0.2.7 192.0.2.256 40000 8081'), /none of TCP4: "192.0.2.256"/],
  ['v1 with octal digits', v1('PROXY TCP4 192.0.02.7 192.0.2.1 40000 8081'), /none of TCP4/],
  ['v1 with a zone', v1('PROXY TCP6 fe80::1%eth0 ::1 40000 8081'), /none of TCP6/],
  ['v1 with a port too large', v1('PROXY TCP4 192.0.2.7 192.0.2.1 65536 8081'), /none: "65536"/],
  ['v1 with a port of zeros', v1('PROXY TCP4 192.0.2.7 192.0.2.1 040 8081'), /none: "040"/],
  ['v1 with a sign', v1('PROXY TCP4 192.0.2.7 192.0.2.1 +40 8081'), /none: "\+40"/],
  ['v1 with a wrong port of its own', v1('PROXY TCP4 192.0.2.7 192.0.2.1 40000 x'), /none: "x"/],
  ['v2 with another signature', Buffer.from('0d0a0d0a0d', 'hex'), /wrong signature/],
  ['v2 of version 1', v2('1111', IPV4), /unknown version or command 0x11/],
  ['v2 of version 3', v2('3111', IPV4), /unknown version or command 0x31/],
  ['v2 with another command', v2('2211', IPV4), /unknown version or command 0x22/],
  ['v2 for nobody in particular', v2('2100', ''), /neither TCP over IPv4 nor TCP over IPv6: 0x00/],
  ['v2 for UDP', v2('2112', IPV4), /0x12/],
  ['v2 for Unix sockets', v2('2131', '00'.repeat(216)), /0x31/],
  ['v2 with another family', v2('2141', IPV4), /0x41/],
  ['v2 too short for IPv4', v2('2111', IPV4.slice(0, -2)), /too short/],
  ['v2 too short for IPv6', v2('2121', IPV4), /too short/],
  ['v2 that is too long', v2('2111', IPV4, 4097), /longer than 4112 bytes/],
  ['v2 LOCAL that is too long', v2('2000', '', 65_535), /longer than 4112 bytes/],
  ['v2 that ends within the head of a TLV', v2('2111', `${IPV4} 0400`), /ends within a TLV/],
  ['v2 that ends within a TLV', v2('2111', `${IPV4} 04000200`), /ends within a TLV/],
];
test.each(refused)('%s is refused', (_what, bytes, message) => {
  expect(() => parseProxyHeader(bytes)).toThrow(
    expect.objectContaining({ code: 'ARGUMENT_INVALID', message: expect.stringMatching(message) }),
  );
});

test('what begins like TLS, or like anything else, has no header', () => {
  const others = Array.from({ length: 256 }, (_, byte) => byte).filter((byte) => byte !== 0x50 && byte !== 0x0d);
  expect(others.map((byte) => parseProxyHeader(Buffer.of(byte)))).toEqual(others.map(() => ({ length: 0 })));
  expect(parseProxyHeader(Buffer.alloc(0))).toBeUndefined();
});

test('whatever byte is changed, the answer is a header, a refusal or a wish for more', () => {
  for (const [, bytes] of accepted) {
    for (let round = 0; round < 500; round += 1) {
      const changed = Buffer.from(bytes);
      const [at = 0, value = 0] = randomBytes(2);
      changed[at % bytes.length] = value;
      try {
        const header = parseProxyHeader(changed);
        expect(header?.length ?? 0).toBeLessThanOrEqual(changed.length);
      } catch (error) {
        if (!isSpiffeError(error, 'ARGUMENT_INVALID')) throw error;
      }
    }
  }
});
