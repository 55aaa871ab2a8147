import { generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { createCsr, parseCsr, parseCsrAside } from '../../src/x509/csr.ts';
import { bitString, derNull, octetString, oid, sequence, setOf, tlv, utf8String } from '../../src/x509/der.ts';
import { EMPTY_NAME, encodeName, formatName } from '../../src/x509/name.ts';
import { OID } from '../../src/x509/oids.ts';
import { signatureAlgorithmDer } from '../../src/x509/signature-algorithm.ts';
import { signerOfKeyObject, signMessage } from '../../src/x509/signer.ts';
import { ecSigner } from './made-certificate.ts';
import { OpenSslFolder } from './openssl.ts';

const uriNames = ['spiffe://example.org/workload'];
const signers = [
  ['ec-p256', ecSigner('P-256')],
  ['ec-p384', ecSigner('P-384')],
  ['rsa-2048', signerOfKeyObject(generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey)],
] as const;

describe.each(signers)('%s', (_keyType, signer) => {
  test('what is made is read back, and openssl verifies it', async () => {
    const subject = encodeName({ commonName: 'a.example' });
    const der = await createCsr({ signer, subject, uriNames, dnsNames: ['a.example', 'b.example'] });
    expect(parseCsr(der)).toEqual({
      subjectPublicKeyInfo: signer.publicKey,
      subject,
      uriNames,
      dnsNames: ['a.example', 'b.example'],
    });
    expect(await parseCsrAside(der)).toEqual(parseCsr(der));
    using folder = new OpenSslFolder();
    folder.write('r.der', der);
    const text = folder.run('req', '-inform', 'DER', '-in', 'r.der', '-verify', '-text', '-noout');
    expect(text).toContain('URI:spiffe://example.org/workload, DNS:a.example, DNS:b.example');
    expect(text).toContain('Subject: CN = a.example');
  });

  test('without names', async () => {
    const der = await createCsr({ signer, uriNames: [] });
    expect(parseCsr(der)).toEqual({
      subjectPublicKeyInfo: signer.publicKey,
      subject: EMPTY_NAME,
      uriNames: [],
      dnsNames: [],
    });
    using folder = new OpenSslFolder();
    folder.write('r.der', der);
    expect(folder.run('req', '-inform', 'DER', '-in', 'r.der', '-verify', '-noout', '-subject')).toContain('subject=');
  });
});

test.each([
  ['ec', 'ec_paramgen_curve:P-521', []],
  ['rsa', 'rsa_keygen_bits:3072', ['-sigopt', 'rsa_padding_mode:pss', '-sigopt', 'rsa_pss_saltlen:32']],
  ['ed25519', undefined, []],
] as const)('takes what openssl makes: %s %s', async (algorithm, parameter, signing) => {
  using folder = new OpenSslFolder();
  const key = ['-newkey', algorithm, ...(parameter ? ['-pkeyopt', parameter] : []), '-nodes', '-keyout', 'key.pem'];
  const extensions = ['-addext', 'subjectAltName=URI:spiffe://example.org/a', '-addext', 'keyUsage=digitalSignature'];
  folder.run('req', '-new', ...key, '-outform', 'DER', '-out', 'r.der', '-subj', '/O=x', ...extensions, ...signing);
  const request = parseCsr(readFileSync(`${folder.path}/r.der`));
  expect(await parseCsrAside(readFileSync(`${folder.path}/r.der`))).toEqual(request);
  expect(request.uriNames).toEqual(['spiffe://example.org/a']);
  expect(formatName(request.subject)).toBe('O=x');
});

const signer = ecSigner();
const algorithm = signatureAlgorithmDer('ec-p256');
const attribute = (type: string, ...values: readonly Uint8Array[]) => sequence(oid(type), setOf(...values));
const altName = (...names: readonly Uint8Array[]) =>
  sequence(sequence(oid(OID.subjectAltName), octetString(sequence(...names))));
const uri = tlv(0x86, Buffer.from('spiffe://example.org/a'));

interface Parts {
  readonly version?: number;
  readonly attributes?: readonly Uint8Array[];
  readonly withoutAttributes?: boolean;
  readonly spki?: Uint8Array;
  readonly algorithm?: Uint8Array;
}

/** A request in parts, any of which a row replaces, signed properly. */
async function assemble(parts: Parts = {}): Promise<Uint8Array> {
  const info = sequence(
    Uint8Array.of(2, 1, parts.version ?? 0),
    EMPTY_NAME,
    parts.spki ?? signer.publicKey,
    ...(parts.withoutAttributes ? [] : [tlv(0xa0, ...(parts.attributes ?? []))]),
  );
  return sequence(info, parts.algorithm ?? algorithm, bitString(await signMessage(signer, info)));
}

test('attributes that mean nothing here are passed over (RFC 2986 §4.1)', async () => {
  const challenge = attribute('1.2.840.113549.1.9.7', utf8String('x'));
  const der = await assemble({ attributes: [challenge, attribute(OID.extensionRequest, altName(uri))] });
  expect(parseCsr(der).uriNames).toEqual(['spiffe://example.org/a']);
});

const request = (...values: readonly Uint8Array[]) => attribute(OID.extensionRequest, ...values);
test.each([
  [
    "another's key: no proof of possession",
    'RFC 2986 §4.2',
    () => assemble({ spki: ecSigner().publicKey }),
    /not signed by the key/,
  ],
  [
    'a signature of another algorithm',
    'RFC 2986 §4.2',
    () => assemble({ algorithm: signatureAlgorithmDer('rsa-2048') }),
    /not signed by the key/,
  ],
  [
    'a signature of another hash',
    'RFC 2986 §4.2',
    () => assemble({ algorithm: signatureAlgorithmDer('ec-p384') }),
    /not signed by the key/,
  ],
  [
    'ECDSA with SHA-1',
    'RFC 5758 §3.2',
    () => assemble({ algorithm: sequence(oid('1.2.840.10045.4.1')) }),
    /are not accepted/,
  ],
  ['version 2', 'RFC 2986 §4.1', () => assemble({ version: 1 }), /the version is 1/],
  ['no attributes field', 'RFC 2986 §4.1', () => assemble({ withoutAttributes: true }), /the attributes/],
  [
    'an attribute twice',
    'RFC 2985 §5.4.2',
    () => assemble({ attributes: [request(altName(uri)), request(altName(uri))] }),
    /occurs twice/,
  ],
  [
    'two values of extensionRequest',
    'RFC 2985 §5.4.2',
    () => assemble({ attributes: [request(altName(uri), altName(uri, uri))] }),
    /follow the end of extensionRequest/,
  ],
  [
    'an extension twice',
    'RFC 5280 §4.2',
    () =>
      assemble({
        attributes: [request(sequence(sequence(oid('1.2.3'), octetString()), sequence(oid('1.2.3'), octetString())))],
      }),
    /1\.2\.3 occurs twice/,
  ],
  [
    'a malformed SAN',
    'RFC 5280 §4.2.1.6',
    () => assemble({ attributes: [request(altName(derNull()))] }),
    /no GeneralName/,
  ],
  [
    '17 attributes',
    'cap',
    () => assemble({ attributes: Array.from({ length: 17 }, (_, i) => attribute(`1.2.${i}`, derNull())) }),
    /more than 16/,
  ],
  [
    'a weak key',
    'SP 800-131A',
    () =>
      assemble({
        spki: new Uint8Array(
          generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey.export({ type: 'spki', format: 'der' }),
        ),
      }),
    /1024 bits/,
  ],
  ['a tail', 'X.690 §8.1', async () => Buffer.concat([await assemble(), Buffer.of(0)]), /1 octets follow/],
  ['more than 32 KiB', 'cap', async () => new Uint8Array(32769), /more than 32768/],
  ['nothing', 'RFC 2986 §4.2', async () => new Uint8Array(), /DER ends/],
] as const)('rejects %s (%s)', async (_rule, _section, make, message) => {
  const der = await make();
  const refusal = expect.objectContaining({ code: 'CSR_INVALID', message: expect.stringMatching(message) });
  expect(() => parseCsr(der)).toThrow(refusal);
  await expect(parseCsrAside(der)).rejects.toThrow(refusal);
});

test('refuses to ask for a name outside ASCII', async () => {
  await expect(createCsr({ signer, uriNames: ['spiffe://é'] })).rejects.toThrow(
    expect.objectContaining({ code: 'DER_INVALID', message: expect.stringMatching(/outside ASCII/) }),
  );
});
