import { afterAll, beforeAll, expect, test } from 'vitest';
import { decodePayload, encodePayload, MAX_PAYLOAD_BYTES } from '../../../src/plugins/aws-iid/attestation-payload.ts';
import { type FindCertificates, verifyDocument } from '../../../src/plugins/aws-iid/identity-document.ts';
import { readCertificates } from '../../../src/plugins/aws-iid/known-certificates.ts';
import { REGION_CERTIFICATES } from '../../../src/plugins/aws-iid/region-certificates.ts';
import { parseCertificate } from '../../../src/x509/certificate.ts';
import { verifySignature } from '../../../src/x509/signature-algorithm.ts';
import { publicKeyOfSpki } from '../../../src/x509/spki.ts';
import { identityDocument, REGION, regionSigner, signDocument } from '../../harness/ec2-instance.ts';
import { OpenSsl } from '../../harness/sign-cms.ts';

const resources = new AsyncDisposableStack();
let openssl: OpenSsl;
let signer: ReturnType<typeof regionSigner>;
let other: ReturnType<typeof regionSigner>;
let known: FindCertificates;

beforeAll(async () => {
  openssl = resources.use(await OpenSsl.open());
  signer = regionSigner(openssl);
  other = regionSigner(openssl);
  known = await readCertificates({ [REGION]: signer.path });
});
afterAll(() => resources.disposeAsync());

const verify = (document: string, rsa2048: string, now = new Date()) =>
  verifyDocument({ document, rsa2048, signature: '' }, known, now);
const signed = (changes: Readonly<Record<string, unknown>>) => {
  const document = identityDocument(changes);
  return [document, signDocument(openssl, signer, document)] as const;
};

test.each([
  ['as AWS signs it', []],
  ['over the document itself', ['-noattr']],
])('a document signed %s is taken', (_how, args) => {
  const document = identityDocument();
  expect(verify(document, signDocument(openssl, signer, document, ...args))).toEqual({
    accountId: '123456789012',
    region: REGION,
    instanceId: 'i-1234567890abcdef0',
    imageId: 'ami-03cf127a',
    availabilityZone: 'us-west-2a',
  });
});

test('two certificates of a region are good while one takes the place of the other', async () => {
  const path = openssl.write(other.certificate + signer.certificate);
  const both = await readCertificates({ [REGION]: path });
  const document = identityDocument();
  const rsa2048 = signDocument(openssl, signer, document);
  expect(verifyDocument({ document, rsa2048, signature: '' }, both, new Date()).region).toBe(REGION);
});

test.each<readonly [string, () => readonly [string, string], RegExp]>([
  [
    'put in the place of the signed one',
    () => [identityDocument({ accountId: '999999999999' }), signed({})[1]],
    /is another one than that which is signed: somebody put it in its place/,
  ],
  [
    'that has a space more',
    () => [`${identityDocument()} `, signed({})[1]],
    /is another one than that which is signed/,
  ],
  [
    'signed by another key',
    () => [identityDocument(), signDocument(openssl, other, identityDocument())],
    /is not signed by AWS’ key for the region "us-west-2"/,
  ],
  ['of another region', () => signed({ region: 'eu-west-1' }), /is not signed by AWS’ key for the region "eu-west-1"/],
  [
    'of no region of AWS’',
    () => signed({ region: 'mars-1' }),
    /of the region "mars-1", for which no certificate of AWS is known: add it to "region_certificates"/,
  ],
  ['without an account', () => signed({ accountId: undefined }), /has no good "accountId"/],
  ['whose account is a way out', () => signed({ accountId: '../../../x' }), /has no good "accountId"/],
  ['whose instance is another’s ARN', () => signed({ instanceId: 'arn:aws:ec2' }), /has no good "instanceId"/],
  ['that is no JSON', () => ['no', signDocument(openssl, signer, 'no')], /is no JSON/],
  [
    'whose signature is cut',
    () => [identityDocument(), signed({})[1].slice(0, 76 * 5)],
    /cannot be read: .* (ends inside|beyond its end)/,
  ],
  ['whose signature is no base64', () => [identityDocument(), '*'], /is no base64/],
  ['whose signature is something else', () => [identityDocument(), 'AAAA'], /cannot be read/],
  [
    'signed with SHA-1',
    () => [identityDocument(), signDocument(openssl, signer, identityDocument(), '-md', 'sha1')],
    /not SHA-256/,
  ],
])('a document %s is refused', (_what, make, message) => {
  expect(() => verify(...make())).toThrow(message);
});

test('a certificate of a region is good in its time alone', () => {
  const [document, rsa2048] = signed({});
  const late = new Date(Date.now() + 5 * 24 * 3600 * 1000);
  expect(() => verify(document, rsa2048, late)).toThrow(/whose certificate is out of its time/);
});

test.each<readonly [string, Uint8Array, RegExp]>([
  [
    'without a signature of 2048 bits',
    encodePayload({ document: '{}', signature: 'x', rsa2048: '' }),
    /has no "rsa2048"/,
  ],
  ['without a document', Buffer.from('{"rsa2048":"x"}'), /has no good "document"/],
  ['that is no JSON', Buffer.from('secret'), /is no JSON text/],
  ['that is no text', Uint8Array.of(0xff), /is no JSON text/],
  ['of a list', Buffer.from('[]'), /has no good ""/],
  ['that is too large', new Uint8Array(MAX_PAYLOAD_BYTES + 1), /has 65537 bytes, at most 65536 are read/],
])('a payload %s is refused', (_what, payload, message) => {
  expect(() => decodePayload(new Uint8Array(payload))).toThrow(message);
});

test('the pinned certificates are AWS’, with keys of 2048 bits that signed themselves, and good for long', () => {
  expect(REGION_CERTIFICATES.size).toBeGreaterThan(35);
  for (const [region, base64] of REGION_CERTIFICATES) {
    const certificate = parseCertificate(new Uint8Array(Buffer.from(base64, 'base64')));
    const key = publicKeyOfSpki(certificate.subjectPublicKeyInfo);
    expect(key.asymmetricKeyDetails?.modulusLength, region).toBe(2048);
    expect(Buffer.from(certificate.subject).toString('latin1'), region).toContain('Amazon Web Services LLC');
    expect(certificate.notAfter.getUTCFullYear(), region).toBeGreaterThan(2100);
    const { signatureAlgorithm, tbs, signature } = certificate;
    expect(verifySignature(signatureAlgorithm, key, tbs, signature), region).toBe(true);
  }
  expect(new Set(REGION_CERTIFICATES.values()).size).toBe(REGION_CERTIFICATES.size);
});

test.each<readonly [string, () => string, RegExp]>([
  ['that is not there', () => '/nowhere', /region_certificates\.us-west-2: "\/nowhere" cannot be read/],
  ['without a certificate', () => openssl.write('x'), /has no PEM certificate/],
  ['with a key of 1024 bits', () => openssl.write(openssl.identity('/CN=x', ['rsa:1024']).certificate), /RSA|2048/],
  [
    'with a key of another kind',
    () => openssl.write(openssl.identity('/CN=x', ['ec', '-pkeyopt', 'ec_paramgen_curve:P-256']).certificate),
    /no RSA key of 2048 bits or more/,
  ],
])('a certificate in a file %s is refused', async (_what, path, message) => {
  await expect(readCertificates({ [REGION]: path() })).rejects.toThrow(message);
});
