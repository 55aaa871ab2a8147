import { expect, test } from 'vitest';
import { oid, sequence, setOf, Tag, tlv, utf8String } from '../../src/x509/der.ts';
import { EMPTY_NAME, encodeName, findNameAttribute, formatName, isSameName, parseName } from '../../src/x509/name.ts';
import { OID } from '../../src/x509/oids.ts';
import { OpenSslFolder } from './openssl.ts';

const nameOf = (type: string, value: Uint8Array) => sequence(setOf(sequence(oid(type), value)));

test.each([
  ['order of RDNs', '§2.1', encodeName({ commonName: 'n', organization: 'SPIRE', country: 'US' }), 'CN=n,O=SPIRE,C=US'],
  ['several values', '§2.2', encodeName({ organization: ['B', 'A'] }), 'O=A+O=B'],
  ['special characters', '§2.4', encodeName({ organization: 'a,b+c"d\\e<f>g;h' }), 'O=a\\,b\\+c\\"d\\\\e\\<f\\>g\\;h'],
  ['space and number sign', '§2.4', encodeName({ organization: ' x ', commonName: '#x' }), 'CN=\\#x,O=\\ x\\ '],
  ['NUL', '§2.4', nameOf(OID.commonName, utf8String('a\0b')), 'CN=a\\00b'],
  ['control characters', '§2.4', nameOf(OID.commonName, utf8String('a\n\u202eb')), 'CN=a\\0a\\e2\\80\\aeb'],
  ['UTF-8', '§2.4', encodeName({ commonName: 'Zoë' }), 'CN=Zoë'],
  ['BMPString', '§2.4', nameOf(OID.commonName, tlv(Tag.bmpString, Uint8Array.of(0, 0x41, 0, 0x42))), 'CN=AB'],
  ['TeletexString', '§2.4', nameOf(OID.commonName, tlv(Tag.teletexString, Uint8Array.of(0xeb))), 'CN=ë'],
  ['an unknown type', '§2.4', nameOf('2.5.4.999', utf8String('A')), '2.5.4.999=#0c0141'],
  ['a value that is no text', '§2.4', nameOf(OID.commonName, tlv(Tag.utf8String, Uint8Array.of(0xff))), 'CN=#0c01ff'],
  ['no attributes', '§2.1', EMPTY_NAME, ''],
])('prints %s (RFC 4514 %s)', (_rule, _section, name, text) => {
  expect(formatName(name)).toBe(text);
});

test('prefers PrintableString, so that octets compare (RFC 5280 §7.1)', () => {
  expect(Buffer.from(encodeName({ country: 'US' })).toString('hex')).toBe('300d310b3009060355040613025553');
  expect(isSameName(encodeName({ country: 'US' }), encodeName({ country: 'US' }))).toBe(true);
  expect(isSameName(encodeName({ country: 'US' }), encodeName({ country: 'us' }))).toBe(false);
});

test('finds an attribute', () => {
  const name = encodeName({ organization: 'SPIRE', serialNumber: '17' });
  expect(findNameAttribute(name, OID.serialNumber)).toBe('17');
  expect(findNameAttribute(name, OID.commonName)).toBeUndefined();
});

test.each([
  ['country', { country: 'USA' }],
  ['commonName', { commonName: 'x'.repeat(65) }],
  ['organization', { organization: '' }],
])('refuses to write a %s outside its bounds (RFC 5280 appendix A.1)', (attribute, name) => {
  expect(() => encodeName(name)).toThrow(
    expect.objectContaining({ code: 'DER_INVALID', message: expect.stringContaining(attribute) }),
  );
});

test.each([
  ['an empty RDN', 'SET SIZE (1..MAX)', sequence(tlv(Tag.set))],
  ['an attribute without value', 'AttributeTypeAndValue', sequence(setOf(sequence(oid(OID.commonName))))],
  [
    'a third field',
    'AttributeTypeAndValue',
    sequence(setOf(sequence(oid('2.5.4.3'), utf8String('a'), utf8String('b')))),
  ],
  ['a SEQUENCE for a SET', 'RelativeDistinguishedName', sequence(sequence())],
])('rejects %s (RFC 5280 §4.1.2.4, %s)', (_rule, _field, name) => {
  expect(() => parseName(name)).toThrow(expect.objectContaining({ code: 'DER_INVALID' }));
});

test('openssl prints the same (RFC 4514)', () => {
  using folder = new OpenSslFolder();
  const args = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', 'key.pem'];
  folder.run(...args, '-out', 'c.pem', '-utf8', '-subj', '/C=US/O=A, B \\+ C/OU=x#y/CN=Zoë');
  const printed = folder.run('x509', '-in', 'c.pem', '-noout', '-subject', '-nameopt', 'RFC2253,-esc_msb,utf8');
  const name = encodeName({
    country: 'US',
    organization: 'A, B + C',
    organizationalUnit: 'x#y',
    commonName: 'Zoë',
  });
  expect(printed.trim()).toBe(`subject=${formatName(name)}`);
});
