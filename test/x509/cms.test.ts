import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { berToDer } from '../../src/x509/ber.ts';
import { parseCertificate } from '../../src/x509/certificate.ts';
import { isSignedWith, parseSignedData } from '../../src/x509/cms.ts';
import { decodePem } from '../../src/x509/pem.ts';
import { type CmsIdentity, OpenSsl } from '../harness/sign-cms.ts';

// Signed data by OpenSSL's own command; RFC 5652.

const CONTENT = '{\n  "instanceId" : "i-1"\n}';
const resources = new AsyncDisposableStack();
let openssl: OpenSsl;
let rsa: CmsIdentity;
let other: CmsIdentity;
let ec: CmsIdentity;

beforeAll(async () => {
  openssl = resources.use(await OpenSsl.open());
  rsa = openssl.identity('/CN=signer');
  other = openssl.identity('/CN=signer');
  ec = openssl.identity('/CN=signer', ['ec', '-pkeyopt', 'ec_paramgen_curve:P-256']);
});
afterAll(() => resources.disposeAsync());

const certificateOf = ({ certificate }: CmsIdentity) => {
  const [der] = decodePem(certificate, 'CERTIFICATE');
  return parseCertificate(der ?? new Uint8Array(0));
};

test.each([
  ['in DER', []],
  ['in BER with indefinite lengths', ['-stream']],
  ['over the content itself', ['-noattr']],
  ['without certificates', ['-nocerts', '-stream']],
  ['with SHA-384', ['-md', 'sha384']],
  ['with SHA-512', ['-md', 'sha512', '-noattr']],
])('signed data %s is read, and verified with the signer’s certificate alone', (_how, args) => {
  const signed = parseSignedData(openssl.sign(CONTENT, rsa, ...args));
  expect(Buffer.from(signed.content).toString()).toBe(CONTENT);
  expect(signed.certificates).toHaveLength(args.includes('-nocerts') ? 0 : 1);
  expect(isSignedWith(signed, certificateOf(rsa))).toBe(true);
  expect(isSignedWith(signed, certificateOf(other))).toBe(false);
  expect(isSignedWith(signed, certificateOf(ec))).toBe(false);
});

test('content of several kilobytes comes in pieces', () => {
  const content = 'x'.repeat(20_000);
  const ber = openssl.sign(content, rsa, '-stream');
  const signed = parseSignedData(ber);
  expect(Buffer.from(signed.content).toString()).toBe(content);
  expect(isSignedWith(signed, certificateOf(rsa))).toBe(true);
});

test.each<readonly [string, () => Uint8Array, RegExp]>([
  [
    'by two',
    () =>
      openssl.sign(
        CONTENT,
        rsa,
        '-signer',
        openssl.write(other.certificate),
        '-inkey',
        openssl.write(other.privateKey),
      ),
    /octets follow the end of the signers, of whom one is expected/,
  ],
  ['with ECDSA', () => openssl.sign(CONTENT, ec), /signature algorithm is 1\.2\.840\.10045\.4\.3\.2, not RSA/],
  [
    'with RSASSA-PSS',
    () => openssl.sign(CONTENT, rsa, '-keyopt', 'rsa_padding_mode:pss'),
    /the parameters of the signature algorithm|signature algorithm is 1\.2\.840\.113549\.1\.1\.10/,
  ],
  [
    'with SHA-1',
    () => openssl.sign(CONTENT, rsa, '-md', 'sha1'),
    /digest algorithm is 1\.3\.14\.3\.2\.26, not SHA-256/,
  ],
  ['by the number of a key', () => openssl.sign(CONTENT, rsa, '-keyid'), /SignerInfo has version 3, not 1/],
  [
    'over other types of content',
    () => openssl.sign(CONTENT, rsa, '-econtent_type', '1.2.3.4'),
    /the type of the content is 1\.2\.3\.4, not 1\.2\.840\.113549\.1\.7\.1/,
  ],
  ['that are too long', () => openssl.sign('x'.repeat(66_000), rsa), /octets, more than 65536/],
  ['of which nothing is there', () => new Uint8Array(0), /ends inside an element/],
])('signed data %s are refused', (_what, make, message) => {
  expect(() => parseSignedData(make())).toThrow(message);
});

test('data apart from its signature is refused', () => {
  const files = ['-signer', openssl.write(rsa.certificate), '-inkey', openssl.write(rsa.privateKey)];
  const detached = openssl.run('cms', '-sign', '-binary', '-outform', 'DER', '-in', openssl.write(CONTENT), ...files);
  expect(() => parseSignedData(detached)).toThrow(/DER ends where the content should begin/);
});

describe.each([
  ['DER', [] as readonly string[]],
  ['BER', ['-stream']],
])('of signed data in %s', (_form, args) => {
  const outcome = (bytes: Uint8Array): string => {
    try {
      const signed = parseSignedData(bytes);
      return isSignedWith(signed, certificateOf(rsa)) ? Buffer.from(signed.content).toString() : 'unsigned';
    } catch (error) {
      return error instanceof Error && 'code' in error ? String(error.code) : `stranger: ${String(error)}`;
    }
  };

  test('every octet that is changed leaves the content signed, or nothing', () => {
    const bytes = openssl.sign(CONTENT, rsa, '-nocerts', ...args);
    const seen = new Set<string>();
    for (let index = 0; index < bytes.length; index++) {
      const changed = Uint8Array.from(bytes);
      changed[index] = (changed[index] ?? 0) ^ (1 << (index % 8));
      seen.add(outcome(changed));
    }
    expect([...seen].filter((one) => ![CONTENT, 'unsigned', 'DER_INVALID'].includes(one))).toEqual([]);
    expect(seen).toContain('unsigned');
  });

  test('no part is taken for the whole', () => {
    const bytes = openssl.sign(CONTENT, rsa, '-nocerts', ...args);
    for (let length = 0; length < bytes.length; length++)
      expect(outcome(bytes.subarray(0, length))).toBe('DER_INVALID');
    expect(outcome(Uint8Array.of(...bytes, 0))).toBe('DER_INVALID');
  });
});

test.each([
  ['an indefinite length of what has no elements', '0480', /indefinite length where no elements follow/],
  ['a string in pieces of another type', '2480020101' + '0000', /OCTET STRING with a piece of another type/],
  ['no end', '3080020101', /ends inside an element/],
  ['an end that is not empty', '3080020101' + '0001', /end of contents that is not empty/],
  ['an element longer than what it is in', '300302' + '0201', /goes beyond its end/],
  ['a length of four octets', '3084000000' + '00', /length of 4 octets/],
  ['a tag of several octets', '3f0100', /tag number of several octets/],
  ['something after its end', '020101' + '00', /1 octets follow/],
  ['many levels', '3080'.repeat(30), /nested deeper than 24/],
])('BER with %s is refused', (_what, hex, message) => {
  expect(() => berToDer(Buffer.from(hex, 'hex'), 'it', 1024)).toThrow(message);
});

test('BER becomes DER: lengths, and strings in pieces of pieces', () => {
  const ber = Buffer.from(
    '3080' + '2480' + '040161' + '2480' + '04810162' + '0000' + '0000' + '0281' + '0101' + '0000',
    'hex',
  );
  expect(Buffer.from(berToDer(ber, 'it', 1024)).toString('hex')).toBe('3007' + '04026162' + '020101');
});
