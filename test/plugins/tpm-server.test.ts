import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { attestTpm } from '../../src/plugins/tpm/attest.ts';
import { decodeChallenge, encodePayload, encodeResponse } from '../../src/plugins/tpm/codec.ts';
import { EkMemory } from '../../src/plugins/tpm/ek-memory.ts';
import { EkAuthority } from '../../src/testing/ek-authority.ts';
import { SoftwareTpm } from '../../src/testing/software-tpm.ts';
import { requireEndorsementKey } from '../../src/tpm/endorsement-key.ts';
import { makeCredential } from '../../src/tpm/make-credential.ts';
import { bitString, oid, sequence } from '../../src/x509/der.ts';
import { OID } from '../../src/x509/oids.ts';
import { parseRawSpki } from '../../src/x509/spki.ts';
import { deniedBy } from '../harness/denied.ts';
import { SoftwareProver } from '../harness/software-prover.ts';
import { readVector, toHex } from '../tpm/vectors.ts';
import { type Attestation, attest, csrKey, NOW, root, stateOf, TRUST_DOMAIN } from './tpm-server-fixture.ts';

const tpm = new SoftwareTpm();
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
const hashOf = ({ ekSpki }: SoftwareTpm) => sha256(ekSpki);
const prefixed = (selectors: readonly string[], prefix: string) => selectors.filter((text) => text.startsWith(prefix));

test.each([
  ['L-1', 'rsa-2048'],
  ['L-2', 'ecc-p256'],
  ['H-3', 'ecc-p256'],
  ['H-2', 'rsa-2048'],
] as const)('admits a TPM with an EK of template %s and an AK of %s', async (ek, ak) => {
  const honest = new SoftwareTpm({ ek, ak });
  const { spiffeId, selectorValues, canReattest } = await attest({ tpm: honest });
  expect(spiffeId).toBe(`spiffe://example.org/spire/agent/tpm/${hashOf(honest)}`);
  expect(canReattest).toBe(true);
  expect(selectorValues).toEqual([
    `pub_hash:${hashOf(honest)}`,
    'ek:hardware',
    'manufacturer:id:494E5443',
    'model:Test TPM',
    `ca:fingerprint:${sha256(root.certificate.der)}`,
    'csr:bound',
    'firmware:2024010200030004',
    'reset_count:3',
    ...[0, 1, 2, 3, 4, 5, 6, 7].map((index) => `pcr:sha256:${index}:${toHex(honest.readPcr('sha256', index))}`),
  ]);
});

test('A5, A11: one endorsement key has one agent ID, however it is encoded and whoever vouches for it', async () => {
  const rsa = new SoftwareTpm({ ek: 'L-1' });
  const oaep = sequence(sequence(oid(OID.rsaesOaep)), bitString(parseRawSpki(rsa.ekSpki).subjectPublicKey));
  const verdicts = await Promise.all([
    attest({ tpm: rsa }),
    attest({ tpm: rsa, ekCertificates: [root.issueEkCertificate(oaep)] }),
    attest({ tpm: rsa, ekCertificates: [], trust: { enrolled: new Map([[hashOf(rsa), 'hardware']]) } }),
  ]);
  expect(new Set(verdicts.map(({ spiffeId }) => spiffeId)).size).toBe(1);
});

test('an unauthenticated certificate beside an enrolled hash gives no selector (F44)', async () => {
  const ekCertificates = [EkAuthority.root({ name: 'stranger' }).issueEkCertificate(tpm.ekSpki)];
  const { selectorValues } = await attest({
    tpm,
    ekCertificates,
    trust: { enrolled: new Map([[hashOf(tpm), 'virtual']]) },
  });
  expect(prefixed(selectorValues, 'ek:')).toEqual(['ek:virtual']);
  expect(selectorValues.some((text) => /^(manufacturer|model|ca):/.test(text))).toBe(false);
});

test('an enrolled TPM whose certificate is good has its selectors (F44)', async () => {
  const { selectorValues } = await attest({ tpm, trust: { enrolled: new Map([[hashOf(tpm), 'virtual']]) } });
  expect(selectorValues).toContain('model:Test TPM');
  expect(prefixed(selectorValues, 'ek:')).toEqual(['ek:hardware']);
});

test('no selector says that a quote was bound to a CSR key where it was not (F44)', async () => {
  const { selectorValues } = await attest({ csrPublicKey: 'unknown', config: { allow_unbound: true } });
  expect(prefixed(selectorValues, 'csr:')).toEqual([]);
});

test('an unmeasured bank gives no pcr selector, and passes only where no PCR was asked for (F44, C23)', async () => {
  const bare = new SoftwareTpm();
  for (const index of [0, 1, 2, 3, 4, 5, 6, 7]) {
    bare.setPcr('sha256', index, new Uint8Array(32));
  }
  bare.setPcr('sha256', 9, new Uint8Array(32).fill(1));
  expect(prefixed((await attest({ tpm: bare })).selectorValues, 'pcr:')).toEqual([]);
  const config = { pcrs: [9], allow_unmeasured: true };
  expect(prefixed((await attest({ tpm: bare, config })).selectorValues, 'pcr:')).toEqual([]);
  await expect(attest({ tpm: bare, config: { pcrs: [9] } })).rejects.toEqual(deniedBy('C23'));
  await expect(attest({ tpm: bare, config: { allow_unmeasured: false } })).rejects.toEqual(deniedBy('C23'));
});

test('the PCRs that the operator names give selectors, of the bank that the operator names', async () => {
  const measured = new SoftwareTpm();
  measured.setPcr('sha384', 0, new Uint8Array(48).fill(2));
  measured.setPcr('sha384', 14, new Uint8Array(48).fill(3));
  const { selectorValues } = await attest({ tpm: measured, config: { pcr_bank: 'sha384', pcrs: [14, 0] } });
  expect(prefixed(selectorValues, 'pcr:')).toEqual([
    `pcr:sha384:0:${'02'.repeat(48)}`,
    `pcr:sha384:14:${'03'.repeat(48)}`,
  ]);
});

const stranger = EkAuthority.root({ name: 'stranger' });
const other = new SoftwareTpm();
const ca = root.issueAuthority();
const NO_CAS = { hardwareCas: [] };
const late = () => {
  let calls = 0;
  return () => new Date(NOW.getTime() + (calls++ < 2 ? 0 : 31_000));
};

/** A software key in place of an attestation key: its owner can sign whatever it likes. */
const softwareAk = new SoftwareTpm({ akFields: { attributes: 0x0004_0040 } });

const REFUSED: readonly (readonly [string, string, Attestation])[] = [
  ['A1', 'a certificate with a byte behind it', { tpm, ekCertificates: [Uint8Array.from([...certificateOf(tpm), 0])] }],
  ['A2', 'the certificate of another CA', { tpm, ekCertificates: [stranger.issueEkCertificate(tpm.ekSpki)] }],
  ['A2', 'an expired certificate', { tpm, now: () => new Date('2019-01-01T00:00:00Z') }],
  ['A4', 'a CA as endorsement key', { tpm, ekCertificates: [root.issueEkCertificate(tpm.ekSpki, { isCa: true })] }],
  ['A6', 'the certificate of another TPM', { tpm, ekCertificates: [certificateOf(other)] }],
  ['A6', 'only certificates of CAs', { tpm, ekCertificates: [ca.certificate.der] }],
  ['A6', 'the EK in a form of its own', { payload: (payload) => ({ ...payload, ekPublic: payload.akPublic }) }],
  ['A8', 'a revoked key', { tpm, trust: { revocation: revoked(tpm) } }],
  [
    'A8',
    'a revoked key that is enrolled',
    { tpm, ekCertificates: [], trust: { revocation: revoked(tpm), ...enrolled(tpm) } },
  ],
  ['A11', 'no certificate', { tpm, ekCertificates: [] }],
  ['A11', 'no certificate and the hash of another TPM', { tpm, ekCertificates: [], trust: enrolled(other) }],
  ['A11', 'a certificate where only hashes count', { tpm, trust: { ...NO_CAS, ...enrolled(other) } }],
  ['B12', 'a software key as attestation key', { tpm: softwareAk }],
  ['B13', 'a byte behind the AK’s public area', { payload: longerAk }],
  [
    'B16',
    'another secret',
    { response: (response) => ({ ...response, secret: response.secret.with(0, 1 ^ (response.secret[0] ?? 0)) }) },
  ],
  ['B16', 'a cut secret', { response: (response) => ({ ...response, secret: response.secret.subarray(0, 16) }) }],
  ['C18', 'a quote from another TPM', { tpm, response: (response) => ({ ...response, ...quoteOf(other) }) }],
  ['C20', 'a CSR key that was not in the quote', { csrPublicKey: csrKey() }],
  [
    'C20',
    'an answer to another nonce',
    { challenge: (challenge) => ({ ...challenge, nonce: challenge.nonce.with(0, 1 ^ (challenge.nonce[0] ?? 0)) }) },
  ],
  ['C20', 'a host that does not tell the CSR key', { csrPublicKey: 'unknown' }],
  [
    'C21',
    'fewer PCRs than asked for',
    { challenge: (challenge) => ({ ...challenge, pcrs: { bank: 'sha256', indices: [0] } }) },
  ],
  [
    'C21',
    'another bank',
    { challenge: (challenge) => ({ ...challenge, pcrs: { ...challenge.pcrs, bank: 'sha384' } }) },
  ],
  [
    'C22',
    'a PCR value of its own',
    { response: (response) => ({ ...response, pcrValues: response.pcrValues.with(7, new Uint8Array(32)) }) },
  ],
  ['C24', 'a clock that is not safe', { tpm: new SoftwareTpm({ clockInfo: { safe: false } }) }],
  ['F42', 'a payload that is too large', { payloadBytes: () => new Uint8Array(65_537) }],
  ['F42', 'a response that is too large', { responseBytes: () => new Uint8Array(8193) }],
  [
    'F42',
    'anything when a clock breaks',
    {
      now: () => {
        throw new RangeError('no time');
      },
    },
  ],
  ['F43', 'an answer that comes late', { now: late() }],
];

test.each(REFUSED)('%s refuses %s', async (check, _what, attestation) => {
  await expect(attest(attestation)).rejects.toEqual(deniedBy(check));
});

test('C24: a TPM whose counts or clock go back is refused, one that restarts is not', async () => {
  const memory = new EkMemory();
  const { clockInfo } = tpm;
  await attest({ tpm, memory });
  await attest({ tpm, memory });
  for (const wrong of [
    { ...clockInfo, resetCount: 2, restartCount: 9 },
    { ...clockInfo, restartCount: 0 },
    { ...clockInfo, clock: clockInfo.clock - 1n },
    { ...clockInfo, resetCount: 4, clock: clockInfo.clock - 1n },
  ]) {
    await expect(memory.recall(hashOf(tpm), wrong)).rejects.toEqual(deniedBy('C24'));
    await expect(memory.remember(hashOf(tpm), wrong, undefined)).rejects.toEqual(deniedBy('C24'));
  }
  await memory.remember(hashOf(tpm), { ...clockInfo, resetCount: 4, restartCount: 0 }, undefined);
  await expect(attest({ tpm, memory })).rejects.toEqual(deniedBy('C24'));
});

test('B14: the key that signs is the one that was activated, though both lie under one endorsement key', async () => {
  const second = new SoftwareTpm();
  const response = (answer: Parameters<NonNullable<Attestation['response']>>[0]) => ({
    ...answer,
    signature: second.signWithAk(answer.quote),
  });
  await expect(attest({ tpm, response })).rejects.toEqual(deniedBy('C18'));
});

test('F43: one challenge a stream, and what answered one answers no other', async () => {
  const ekCertificates = [certificateOf(tpm)];
  const key = csrKey();
  const prover = new SoftwareProver(tpm, key, ekCertificates);
  const start = () =>
    attestTpm(prover.encodedPayload(), stateOf({}), { trustDomain: TRUST_DOMAIN, csrPublicKey: key, now: () => NOW });
  const [first, second] = [start(), start()];
  const [one, two] = [await first.next(), await second.next()];
  if (one.done === true || two.done === true) {
    throw new RangeError('admitted without a challenge');
  }
  expect(toHex(decodeChallenge(one.value).nonce)).not.toBe(toHex(decodeChallenge(two.value).nonce));
  const answer = prover.answer(one.value);
  expect((await first.next(answer)).done).toBe(true);
  expect(await first.next(answer)).toEqual({ done: true, value: undefined });
  await expect(second.next(answer)).rejects.toEqual(deniedBy('B16'));
  const mixed = {
    ...prover.response(decodeChallenge(one.value)),
    secret: prover.response(decodeChallenge(two.value)).secret,
  };
  const third = start();
  const three = await third.next();
  const secret = three.done === true ? new Uint8Array(0) : prover.response(decodeChallenge(three.value)).secret;
  await expect(third.next(encodeResponse({ ...mixed, secret }))).rejects.toEqual(deniedBy('C20'));
});

test('B15: a credential made for another attestation key is of no use', () => {
  const { credentialBlob, encryptedSecret } = makeCredential(
    requireEndorsementKey(tpm.ekPublic),
    other.akName,
    new Uint8Array(32),
  );
  expect(() => tpm.activateCredential(credentialBlob, encryptedSecret)).toThrow('TPM_RC_INTEGRITY');
});

test('the payload of a captured machine gets a challenge, for each of its endorsement keys', async () => {
  for (const [key, certificate] of [
    ['ek-rsa', 'ek-rsa2048.nv.der'],
    ['ek-ecc', 'ek-ecc384.nv.der'],
  ] as const) {
    const payload = encodePayload({
      ekPublic: readVector('direct-kernel', `${key}.tpm2b_public`),
      akPublic: readVector('direct-kernel', 'ak-ecc.tpm2b_public'),
      ekCertificates: [readVector('direct-kernel', certificate)],
    });
    const { pubHash } = requireEndorsementKey(readVector('direct-kernel', `${key}.tpm2b_public`));
    const state = stateOf({ trust: { enrolled: new Map([[pubHash, 'virtual']]) } });
    const server = attestTpm(payload, state, { trustDomain: TRUST_DOMAIN, csrPublicKey: csrKey(), now: () => NOW });
    expect((await server.next()).done).toBe(false);
  }
});

test('A9: nothing that verifies a TPM reaches for the network', () => {
  const folders = ['../../src/tpm', '../../src/x509', '../../src/plugins/tpm'];
  const sources = folders.flatMap((folder) => {
    const path = fileURLToPath(new URL(folder, import.meta.url));
    const files = readdirSync(path, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));
    return files.map((file) => readFileSync(join(path, file), 'utf8'));
  });
  expect(sources.length).toBeGreaterThan(30);
  for (const source of sources) {
    expect(source).not.toMatch(/from '(node:)?(http|https|http2|net|tls|dgram|dns)(\/promises)?'|\bfetch\(/);
  }
});

function certificateOf({ ekSpki }: SoftwareTpm): Uint8Array {
  return root.issueEkCertificate(ekSpki);
}

function revoked({ ekSpki }: SoftwareTpm) {
  return { publicKeyHashes: new Set([sha256(ekSpki)]), certificateLabels: new Set<string>(), crls: [] };
}

function enrolled(node: SoftwareTpm) {
  return { enrolled: new Map([[hashOf(node), 'hardware' as const]]) };
}

function longerAk(payload: Parameters<NonNullable<Attestation['payload']>>[0]) {
  return { ...payload, akPublic: Uint8Array.from([...payload.akPublic, 0]) };
}

function quoteOf(node: SoftwareTpm) {
  return node.quote(new Uint8Array(32), { bank: 'sha256', indices: [0, 1, 2, 3, 4, 5, 6, 7] });
}
