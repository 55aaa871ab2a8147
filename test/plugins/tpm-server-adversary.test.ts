import { describe, expect, test } from 'vitest';
import type { AttestationResponse } from '../../src/plugins/tpm/codec.ts';
import { EkMemory } from '../../src/plugins/tpm/ek-memory.ts';
import type { EkAuthority, EkCertificateOptions } from '../../src/testing/ek-authority.ts';
import { SoftwareTpm } from '../../src/testing/software-tpm.ts';
import { AK_TEMPLATES } from '../../src/tpm/ak-templates.ts';
import { type ClockInfo, encodeQuoteAttest, parseQuoteAttest, type QuoteAttest } from '../../src/tpm/attest.ts';
import { EK_TEMPLATES } from '../../src/tpm/ek-templates.ts';
import { requireEndorsementKey } from '../../src/tpm/endorsement-key.ts';
import { makeCredential } from '../../src/tpm/make-credential.ts';
import { OBJECT_ATTRIBUTES, type ObjectAttribute } from '../../src/tpm/object-attributes.ts';
import { encodePublic, type PublicArea } from '../../src/tpm/public-area.ts';
import { spkiOfPublicArea } from '../../src/tpm/public-key.ts';
import { concat } from '../../src/tpm/tpm-writer.ts';
import { parseCertificate } from '../../src/x509/certificate.ts';
import { bitString, oid, sequence } from '../../src/x509/der.ts';
import { OID } from '../../src/x509/oids.ts';
import { decodePem } from '../../src/x509/pem.ts';
import { parseRawSpki } from '../../src/x509/spki.ts';
import { rocaModulus } from '../tpm/roca-modulus.ts';
import { MACHINES, readVector } from '../tpm/vectors.ts';
import { refusingCheck } from './refusing-check.ts';
import { type Attestation, attest, csrKey, root } from './tpm-server-fixture.ts';

// What a node may try with its keys and its quote. Each row breaks one thing, and is refused by the number that names it.

const tpm = new SoftwareTpm();
const other = new SoftwareTpm();
const rsaSigner = new SoftwareTpm({ ak: 'rsa-2048' });
const FIRMWARE = [0, 1, 2, 3, 4, 5, 6, 7];
const ZEROS = new Uint8Array(32);
const FLIPPED = (bytes: Uint8Array, index: number, bit = 1) => bytes.with(index, (bytes[index] ?? 0) ^ bit);

/** A quote that is changed and signed again, as by a TPM that is broken: only what it says is wrong. */
const resigned = (change: (quote: Uint8Array) => Uint8Array): Attestation => ({
  tpm,
  response: (answer) => {
    const quote = change(answer.quote);
    return { ...answer, quote, signature: tpm.signWithAk(quote) };
  },
});
const requoted = (changes: Partial<QuoteAttest>): Attestation =>
  resigned((quote) => encodeQuoteAttest({ ...parseQuoteAttest(quote), ...changes }));
const covering = (...indices: readonly number[]) => requoted({ pcrSelections: [{ bank: 'sha256', indices }] });

/** What a node answers that holds the endorsement key and signs with a key that is not below it. */
const blindlyBy = (signer: SoftwareTpm): Attestation => ({
  tpm,
  answer: (challenge, prover) => ({
    secret: ZEROS,
    ...signer.quote(prover.qualifyingData(challenge), challenge.pcrs),
  }),
});
const { ak: rsaAk } = rsaSigner;
const relabelledAk = encodePublic({ ...rsaAk, scheme: { algorithm: 'rsapss', hash: 'sha256' } } as PublicArea);

const QUOTES: readonly (readonly [string, string, Attestation])[] = [
  ['C19', 'another magic', resigned((quote) => quote.with(0, 0))],
  ['C19', 'the type of a certification', resigned((quote) => quote.with(5, 0x17))],
  ['C19', 'a trailing byte', resigned((quote) => concat(quote, Uint8Array.of(0)))],
  [
    'C18',
    'a trailing byte behind what was signed',
    { tpm, response: (answer) => ({ ...answer, quote: concat(answer.quote, Uint8Array.of(0)) }) },
  ],
  ['C20', 'empty qualifying data', requoted({ extraData: new Uint8Array() })],
  ['C20', 'a wrong nonce', { tpm, challenge: (challenge) => ({ ...challenge, nonce: FLIPPED(challenge.nonce, 0) }) }],
  ['C20', 'the key of another CSR', { tpm, csrPublicKey: csrKey() }],
  [
    'C18',
    'a signature whose scheme is relabelled',
    { tpm: rsaSigner, response: (answer) => ({ ...answer, signature: answer.signature.with(1, 0x16) }) },
  ],
  [
    'C18',
    'a signature whose hash is relabelled',
    { tpm, response: (answer) => ({ ...answer, signature: answer.signature.with(3, 0x0c) }) },
  ],
  [
    'B16',
    'an attestation key whose scheme is relabelled',
    { ...blindlyBy(rsaSigner), tpm: rsaSigner, payload: (payload) => ({ ...payload, akPublic: relabelledAk }) },
  ],
  ['C21', 'a pcrSelect with one PCR less', covering(...FIRMWARE.slice(0, -1))],
  [
    'C18',
    'a pcrSelect that was altered behind the signature',
    {
      tpm,
      response: (answer) => {
        const quote = { ...parseQuoteAttest(answer.quote), pcrSelections: [{ bank: 'sha256', indices: [0] } as const] };
        return { ...answer, quote: encodeQuoteAttest(quote) };
      },
    },
  ],
  ['C21', 'PCR 16, relabelled as 7', covering(0, 1, 2, 3, 4, 5, 6, 16)],
  ['C21', 'PCR 23, relabelled as 7', covering(0, 1, 2, 3, 4, 5, 6, 23)],
  ['C21', 'one PCR too many', covering(...FIRMWARE, 8)],
  [
    'C22',
    'the value of one PCR too many',
    { tpm, response: (answer) => ({ ...answer, pcrValues: [...answer.pcrValues, ZEROS] }) },
  ],
  [
    'C18',
    'a quote by a second attestation key',
    {
      tpm,
      answer: (challenge, prover) => ({
        ...prover.response(challenge),
        ...other.quote(prover.qualifyingData(challenge), challenge.pcrs),
      }),
    },
  ],
  ['B17', 'a quote whose signer lies under another EK', requoted({ qualifiedSigner: other.akName })],
  [
    'B16',
    'an attestation key from another TPM',
    { ...blindlyBy(other), payload: (payload) => ({ ...payload, akPublic: other.akPublic }) },
  ],
  [
    'B16',
    'an answer that another endorsement key activated',
    { tpm, response: (answer) => ({ ...answer, secret: activatedByOther() }) },
  ],
];

test.each(QUOTES)('%s refuses %s', async (check, _what, attestation) => {
  expect(await refusingCheck(attestation)).toBe(check);
});

/** What the other TPM gets out of a credential that was made for it. */
function activatedByOther(): Uint8Array {
  const ek = requireEndorsementKey(other.ekPublic);
  const { credentialBlob, encryptedSecret } = makeCredential(ek, other.akName, ZEROS);
  return other.activateCredential(credentialBlob, encryptedSecret);
}

test('C20 refuses what was quoted for an old nonce, and the very quote of an earlier attestation', async () => {
  const earlier: { readonly nonce: Uint8Array; readonly response: AttestationResponse }[] = [];
  await attest({
    tpm,
    answer: (challenge, prover) => {
      const response = prover.response(challenge);
      earlier.push({ nonce: challenge.nonce, response });
      return response;
    },
  });
  const [
    {
      nonce,
      response: { quote, signature },
    } = expect.unreachable(),
  ] = earlier;
  expect(await refusingCheck({ tpm, challenge: (challenge) => ({ ...challenge, nonce }) })).toBe('C20');
  expect(await refusingCheck({ tpm, response: (answer) => ({ ...answer, quote, signature }) })).toBe('C20');
});

test.each<readonly [string, Partial<ClockInfo>]>([
  ['resets', { resetCount: 2 }],
  ['restarts', { restartCount: 0 }],
  ['milliseconds', { clock: 1n }],
  ['milliseconds, after a reset that is none', { resetCount: 4, clock: 1n }],
])('C24 refuses a counter of %s that goes back', async (_what, changes) => {
  const memory = new EkMemory();
  const attestation = requoted({ clockInfo: { ...tpm.clockInfo, ...changes } });
  await attest({ tpm, memory });
  expect(await refusingCheck({ ...attestation, memory })).toBe('C24');
});

describe('an attestation key', () => {
  const { attributes } = AK_TEMPLATES['ecc-p256'];
  const withAttributes = (bits: number) => ({ tpm: new SoftwareTpm({ akFields: { attributes: bits } }) });

  test.each<ObjectAttribute>(['fixedTPM', 'fixedParent', 'sensitiveDataOrigin', 'restricted', 'sign'])(
    'B12 refuses one without %s',
    async (name) => {
      expect(await refusingCheck(withAttributes(attributes & ~OBJECT_ATTRIBUTES[name]))).toBe('B12');
    },
  );

  test.each<ObjectAttribute>(['decrypt', 'encryptedDuplication'])('B12 refuses one with %s', async (name) => {
    expect(await refusingCheck(withAttributes(attributes | OBJECT_ATTRIBUTES[name]))).toBe('B12');
  });
});

const [machine] = MACHINES;
const capturedCas = ['issuercert.pem', 'swtpm-localca-rootca-cert.pem'].flatMap((file) =>
  decodePem(Buffer.from(readVector(machine, file)).toString('ascii'), 'CERTIFICATE').map(parseCertificate),
);
const captured = (certificate: string): Attestation => ({
  trust: { hardwareCas: capturedCas },
  payload: (payload) => ({
    ...payload,
    ekPublic: readVector(machine, 'ek-rsa.tpm2b_public'),
    ekCertificates: [readVector(machine, certificate)],
  }),
});
const certified = (options: EkCertificateOptions): Attestation => ({
  tpm,
  ekCertificates: [root.issueEkCertificate(tpm.ekSpki, options)],
});
const certificate = root.issueEkCertificate(tpm.ekSpki);
const NOT_REVOKED = { publicKeyHashes: new Set<string>(), certificateLabels: new Set<string>(), crls: [] };

const rsaTemplate = EK_TEMPLATES.find(({ name }) => name === 'L-1')?.publicArea;
if (rsaTemplate?.type !== 'rsa') throw new RangeError('the template L-1 is of RSA');
const rocaArea: PublicArea = { ...rsaTemplate, modulus: rocaModulus() };

/** Below the root, each by the one before. */
const cas: EkAuthority[] = [];
for (let index = 0; index < 18; index += 1) {
  cas.push((cas.at(-1) ?? root).issueAuthority({ name: `CA ${index}` }));
}
/** That of the endorsement key, and those of the last CAs above it. */
const chainBelow = (authorities: readonly EkAuthority[], sent: number) => [
  (authorities.at(-1) ?? root).issueEkCertificate(tpm.ekSpki),
  ...authorities.slice(-sent).map((authority) => authority.certificate.der),
];

const KEYS: readonly (readonly [string, string, Attestation])[] = [
  ['A4', 'the platform certificate of a captured machine', captured('platform-cert.nv.der')],
  ['A4', 'a platform certificate of the same issuer', certified({ extendedKeyUsage: ['2.23.133.8.2'] })],
  ['A2', 'an expired certificate', certified({ notAfter: new Date('2026-11-21T00:00:00Z') })],
  ['A3', 'an unknown critical extension', certified({ criticalExtension: '1.3.6.1.4.1.99999.1' })],
  ['A1', 'a certificate that another is appended to', { tpm, ekCertificates: [concat(certificate, certificate)] }],
  [
    'A7',
    'a ROCA key',
    {
      ekCertificates: [root.issueEkCertificate(spkiOfPublicArea(rocaArea))],
      payload: (payload) => ({ ...payload, ekPublic: encodePublic(rocaArea) }),
    },
  ],
  [
    'A11',
    'a second endorsement key of a machine that is enrolled by its first',
    {
      tpm: other,
      ekCertificates: [],
      trust: { enrolled: new Map([[requireEndorsementKey(tpm.ekPublic).pubHash, 'hardware']]) },
    },
  ],
  ['A6', 'a second endorsement key with the certificate of the first', { tpm: other, ekCertificates: [certificate] }],
  [
    'A8',
    'a revoked serial number',
    { tpm, trust: { revocation: { ...NOT_REVOKED, certificateLabels: new Set(['1234 CN=TPM root']) } } },
  ],
  ['A10', 'a virtual root in the hardware bundle', { tpm, trust: { virtualCas: [root.certificate] } }],
  ['A2', 'a chain of 9', { tpm, ekCertificates: chainBelow(cas.slice(0, 7), 7) }],
  ['A2', 'a chain of 20, of which as much came as is taken', { tpm, ekCertificates: chainBelow(cas, 7) }],
];

test.each(KEYS)('%s refuses %s', async (check, _what, attestation) => {
  expect(await refusingCheck(attestation)).toBe(check);
});

test('a node that sends a chain of 20 is refused before any of it is read', async () => {
  const ekCertificates = [...chainBelow(cas, cas.length), root.certificate.der];
  await expect(attest({ tpm, ekCertificates })).rejects.toMatchObject({
    code: 'TPM_DATA_INVALID',
    message: '20 of EK certificates, at most 8 are allowed',
  });
});

test('A5: a certificate whose key is marked id-RSAES-OAEP is one of an endorsement key', async () => {
  const rsa = new SoftwareTpm({ ek: 'L-1' });
  const oaep = sequence(sequence(oid(OID.rsaesOaep)), bitString(parseRawSpki(rsa.ekSpki).subjectPublicKey));
  const { selectorValues } = await attest({ tpm: rsa, ekCertificates: [root.issueEkCertificate(oaep)] });
  expect(selectorValues).toContain(`pub_hash:${requireEndorsementKey(rsa.ekPublic).pubHash}`);
});

test('A11: each of two endorsement keys of one machine has an ID of its own', async () => {
  const [one, two] = [await attest({ tpm }), await attest({ tpm: other })];
  expect(one.spiffeId).not.toBe(two.spiffeId);
});

describe('A6 refuses an endorsement key whose template differs in one bit:', () => {
  const { ek } = tpm;
  const sending = (area: PublicArea): Attestation => ({
    tpm,
    payload: (payload) => ({ ...payload, ekPublic: encodePublic(area) }),
  });
  const names = Object.keys(OBJECT_ATTRIBUTES) as ObjectAttribute[];

  test.each(names)('%s', async (name) => {
    expect(await refusingCheck(sending({ ...ek, attributes: ek.attributes ^ OBJECT_ATTRIBUTES[name] }))).toBe('A6');
  });

  test('every bit of its policy', async () => {
    for (let bit = 0; bit < ek.authPolicy.length * 8; bit += 1) {
      const authPolicy = FLIPPED(ek.authPolicy, bit >> 3, 1 << (bit & 7));
      expect(await refusingCheck(sending({ ...ek, authPolicy }))).toBe('A6');
    }
  });
});
