import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { attestDevid, type DevidAttestorState } from '../../src/plugins/tpm-devid/attest.ts';
import {
  type DevidChallenge,
  type DevidPayload,
  type DevidResponse,
  decodeDevidChallenge,
  encodeDevidPayload,
  encodeDevidResponse,
} from '../../src/plugins/tpm-devid/messages.ts';
import { devidServerConfig } from '../../src/plugins/tpm-devid/server-config.ts';
import type { DevidTrustStore } from '../../src/plugins/tpm-devid/trust-store.ts';
import { parseTrustDomain } from '../../src/spiffe/trust-domain.ts';
import { EkAuthority } from '../../src/testing/ek-authority.ts';
import { SoftwareTpm } from '../../src/testing/software-tpm.ts';
import { TestAuthority } from '../../src/testing/test-authority.ts';
import { OBJECT_ATTRIBUTES } from '../../src/tpm/object-attributes.ts';
import { parseCertificate } from '../../src/x509/certificate.ts';
import { certificateLabel } from '../../src/x509/ek-revocation.ts';
import { deniedBy } from '../harness/denied.ts';
import { SoftwareDevid } from '../harness/software-devid.ts';
import { rocaModulus } from '../tpm/roca-modulus.ts';
import { csrKey } from './tpm-server-fixture.ts';

const CSR_KEY = csrKey();
const ekRoot = EkAuthority.root();
const devidRoot = await TestAuthority.create();
const devidCa = await devidRoot.createIntermediate('DevID CA');
const stranger = await TestAuthority.create('example.org', 'Stranger');
const honest = new SoftwareDevid(new SoftwareTpm({ ek: 'L-1', ak: 'rsa-2048' }));
const other = new SoftwareDevid(new SoftwareTpm());
const certificate = await issue(honest);
const HOUR_MS = 3_600_000;

/** One attestation: an honest agent and a server that trusts both CAs, but for what a test changes. */
interface Attestation {
  readonly devid?: SoftwareDevid;
  readonly certificates?: DevidPayload['devidCertificates'];
  readonly ekCertificate?: Uint8Array;
  readonly trust?: Partial<DevidTrustStore>;
  readonly config?: object;
  readonly now?: () => Date;
  /** The CSR's key as the server sees it. */
  readonly csrPublicKey?: Uint8Array | 'unknown';
  /** The CSR's key as the agent binds it; an agent of SPIRE binds none. */
  readonly agentCsrKey?: Uint8Array | 'unbound';
  readonly payload?: (payload: DevidPayload) => DevidPayload;
  readonly payloadBytes?: (bytes: Uint8Array) => Uint8Array;
  readonly challenge?: (challenge: DevidChallenge) => DevidChallenge;
  readonly response?: (response: DevidResponse) => DevidResponse;
  readonly responseBytes?: (bytes: Uint8Array) => Uint8Array;
}

const same = <T>(value: T): T => value;
const NO_REVOCATION = { publicKeyHashes: new Set<string>(), certificateLabels: new Set<string>(), crls: [] };

function stateOf({ config = {}, trust = {} }: Attestation): DevidAttestorState {
  return {
    config: devidServerConfig.parse({ devid_ca_path: '/unused', endorsement_ca_path: '/unused', ...config }),
    trust: {
      devidCas: [devidRoot.certificate],
      hardwareCas: [ekRoot.certificate],
      virtualCas: [],
      virtualManufacturers: new Set(),
      tolerateMissingEku: false,
      revocation: NO_REVOCATION,
      ...trust,
    },
  };
}

async function attest(attestation: Attestation = {}) {
  const { devid = honest, certificates = certificate, now = () => new Date() } = attestation;
  const { csrPublicKey = CSR_KEY, agentCsrKey = CSR_KEY } = attestation;
  const { payload = same, payloadBytes = same, challenge = same, response = same, responseBytes = same } = attestation;
  const ekCertificate = attestation.ekCertificate ?? ekRoot.issueEkCertificate(devid.tpm.ekSpki);
  const sent = payloadBytes(encodeDevidPayload(payload(devid.payload(certificates, ekCertificate))));
  const server = attestDevid(sent, stateOf(attestation), {
    trustDomain: parseTrustDomain('example.org'),
    now,
    ...(csrPublicKey === 'unknown' ? {} : { csrPublicKey }),
  });
  const step = await server.next();
  if (step.done === true) throw new RangeError('admitted without a challenge');
  const asked = challenge(decodeDevidChallenge(step.value));
  const answered = devid.response(asked, agentCsrKey === 'unbound' ? undefined : agentCsrKey);
  const verdict = await server.next(responseBytes(encodeDevidResponse(response(answered))));
  if (verdict.done !== true) throw new RangeError('a second challenge');
  return verdict.value;
}

/** A DevID certificate and its intermediate. */
async function issue(devid: SoftwareDevid, options: object = {}, authority = devidCa) {
  const { certificates } = await authority.issueLeaf({ publicKey: devid.spki, commonName: 'node-1', ...options });
  const [first = new Uint8Array(0), ...others] = certificates;
  return [first, ...others] as const satisfies DevidPayload['devidCertificates'];
}

const digest = (hash: string, bytes: Uint8Array) => createHash(hash).update(bytes).digest('hex');

test.each(['ecc', 'rsa'] as const)(
  'admits a DevID key of type %s, with SPIRE’s ID and selectors, and more',
  async (type) => {
    const devid = new SoftwareDevid(honest.tpm, { type });
    const certificates = await issue(devid);
    const { spiffeId, selectorValues, canReattest } = await attest({ devid, certificates });
    expect(spiffeId).toBe(`spiffe://example.org/spire/agent/tpm_devid/${digest('sha1', certificates[0])}`);
    expect(canReattest).toBe(true);
    expect(selectorValues).toEqual([
      'subject:cn:node-1',
      `ca:fingerprint:${digest('sha1', devidCa.certificate.der)}`,
      `ca:fingerprint:${digest('sha1', devidRoot.certificate.der)}`,
      `certificate:sha256:${digest('sha256', certificates[0])}`,
      `pub_hash:${digest('sha256', devid.tpm.ekSpki)}`,
      'ek:hardware',
      'manufacturer:id:494E5443',
      'model:Test TPM',
      'csr:bound',
    ]);
  },
);

test.each(['L-1', 'L-2', 'H-3'] as const)('admits a TPM with an endorsement key of template %s', async (ek) => {
  const devid = new SoftwareDevid(new SoftwareTpm({ ek }));
  expect((await attest({ devid, certificates: await issue(devid) })).canReattest).toBe(true);
});

test('admits an agent of SPIRE, which binds nothing to a CSR, and says so', async () => {
  expect((await attest({ agentCsrKey: 'unbound' })).selectorValues).not.toContain('csr:bound');
  expect((await attest({ csrPublicKey: 'unknown' })).selectorValues).not.toContain('csr:bound');
});

test('gives a selector for every CA that can be above the certificate, as SPIRE does', async () => {
  const trust = { devidCas: [devidCa.certificate, devidRoot.certificate] };
  const { selectorValues } = await attest({ trust });
  const cas = [devidCa, devidRoot].map((ca) => `ca:fingerprint:${digest('sha1', ca.certificate.der)}`);
  expect(selectorValues.filter((text) => text.startsWith('ca:'))).toEqual(cas);
});

test('a name without a common name gives no selector of it', async () => {
  const { certificates } = await devidCa.issueLeaf({ publicKey: honest.spki });
  const [first = new Uint8Array(0), ...others] = certificates;
  const { selectorValues } = await attest({ certificates: [first, ...others] });
  expect(selectorValues.filter((text) => /^(subject|issuer):/.test(text))).toEqual([]);
});

const without = (...names: (keyof typeof OBJECT_ATTRIBUTES)[]) =>
  names.reduce((bits, name) => bits & ~OBJECT_ATTRIBUTES[name], honest.area.attributes);
const withAttribute = (name: keyof typeof OBJECT_ATTRIBUTES) => honest.area.attributes | OBJECT_ATTRIBUTES[name];
const spoiled = async (fields: object, type: 'ecc' | 'rsa' = 'ecc'): Promise<Attestation> => {
  const devid = new SoftwareDevid(honest.tpm, { type, fields });
  return { devid, certificates: await issue(new SoftwareDevid(honest.tpm)) };
};
const softwareAk = new SoftwareDevid(new SoftwareTpm({ akFields: { attributes: OBJECT_ATTRIBUTES.sign } }));
const late = () => {
  let calls = 0;
  return () => new Date(Date.now() + (calls++ < 2 ? 0 : 31_000));
};
const revokedCertificate = {
  ...NO_REVOCATION,
  certificateLabels: new Set([certificateLabel(parseCertificate(certificate[0]))]),
};
const revokedEk = { ...NO_REVOCATION, publicKeyHashes: new Set([digest('sha256', honest.tpm.ekSpki)]) };
const oneBitOff = (bytes: Uint8Array) => bytes.with(0, 1 ^ (bytes[0] ?? 0));

const REFUSED: readonly (readonly [string, string, Attestation])[] = [
  [
    'A1',
    'an EK certificate with a byte behind it',
    { ekCertificate: longer(ekRoot.issueEkCertificate(honest.tpm.ekSpki)) },
  ],
  [
    'A2',
    'the EK certificate of a stranger',
    { ekCertificate: EkAuthority.root({ name: 'x' }).issueEkCertificate(honest.tpm.ekSpki) },
  ],
  [
    'A4',
    'a platform certificate',
    { ekCertificate: ekRoot.issueEkCertificate(honest.tpm.ekSpki, { extendedKeyUsage: ['2.23.133.8.2'] }) },
  ],
  ['A6', 'the EK certificate of another TPM', { ekCertificate: ekRoot.issueEkCertificate(other.tpm.ekSpki) }],
  ['A6', 'the attestation key as endorsement key', { payload: (sent) => ({ ...sent, ekPublic: sent.akPublic }) }],
  ['A8', 'a revoked endorsement key', { trust: { revocation: revokedEk } }],
  ['A8', 'a revoked DevID certificate', { trust: { revocation: revokedCertificate } }],
  ['B12', 'a software key as attestation key', { devid: softwareAk, certificates: await issue(softwareAk) }],
  ['B13', 'a DevID key that is named by SHA-1', await spoiled({ nameAlg: 'sha1' })],
  [
    'B13',
    'a certification of another key',
    { payload: (sent) => ({ ...sent, certification: honest.tpm.certify(other.name, new Uint8Array(0)) }) },
  ],
  ['B16', 'another secret', { response: (sent) => ({ ...sent, secret: oneBitOff(sent.secret) }) }],
  ['B16', 'a secret that is too short', { response: (sent) => ({ ...sent, secret: sent.secret.subarray(1) }) }],
  [
    'B17',
    'a binding whose signer is elsewhere',
    {
      response: (sent) => ({
        ...sent,
        boundCertification: honest.tpm.certify(honest.name, new Uint8Array(32), { qualifiedSigner: honest.name }),
      }),
    },
  ],
  [
    'C18',
    'a certification by another attestation key',
    { payload: (sent) => ({ ...sent, certification: other.tpm.certify(honest.name, new Uint8Array(0)) }) },
  ],
  [
    'C18',
    'a changed certification',
    {
      payload: (sent) => ({
        ...sent,
        certification: { ...sent.certification, attest: oneBitOff(sent.certification.attest) },
      }),
    },
  ],
  ['C20', 'a binding to another CSR key', { agentCsrKey: csrKey() }],
  ['C20', 'no binding, where one is wanted', { agentCsrKey: 'unbound', config: { require_csr_binding: true } }],
  ['C20', 'no CSR key, where a binding is wanted', { csrPublicKey: 'unknown', config: { require_csr_binding: true } }],
  ['F42', 'a payload of 128 KiB and more', { payloadBytes: () => new Uint8Array(131_073).fill(0x20) }],
  ['F42', 'a response of 16 KiB and more', { responseBytes: () => new Uint8Array(16_385).fill(0x20) }],
  ['F43', 'an answer that comes late', { now: late() }],
  ['G45', 'a DevID certificate of another CA', { certificates: await issue(honest, {}, stranger) }],
  ['G45', 'a DevID certificate without its intermediate', { certificates: [certificate[0]] }],
  [
    'G45',
    'an expired DevID certificate',
    {
      certificates: await issue(honest, {
        notBefore: new Date(Date.now() - 2 * HOUR_MS),
        notAfter: new Date(Date.now() - HOUR_MS),
      }),
    },
  ],
  [
    'G45',
    'a DevID certificate that is not valid yet',
    {
      certificates: await issue(honest, {
        notBefore: new Date(Date.now() + HOUR_MS),
        notAfter: new Date(Date.now() + 2 * HOUR_MS),
      }),
    },
  ],
  ['G46', 'a CA as DevID', { certificates: await issue(honest, { isCa: true }) }],
  [
    'G46',
    'a DevID certificate that is not for signing',
    { certificates: [ekRoot.issueEkCertificate(honest.spki)], trust: { devidCas: [ekRoot.certificate] } },
  ],
  ['G47', 'the DevID certificate of another key', { certificates: await issue(other) }],
  ['G48', 'a DevID key that may leave its TPM', await spoiled({ attributes: without('fixedTPM') })],
  ['G48', 'a DevID key that may be moved', await spoiled({ attributes: without('fixedParent') })],
  ['G48', 'a DevID key that was made elsewhere', await spoiled({ attributes: without('sensitiveDataOrigin') })],
  ['G48', 'a DevID key that does not sign', await spoiled({ attributes: without('sign') })],
  ['G48', 'a DevID key that decrypts', await spoiled({ attributes: withAttribute('decrypt') })],
  [
    'G48',
    'a DevID key for encrypted duplication',
    await spoiled({ attributes: withAttribute('encryptedDuplication') }),
  ],
  ['G49', 'a DevID key without a scheme', await spoiled({ scheme: undefined })],
  ['G49', 'a DevID key that signs with SHA-1', await spoiled({ scheme: { algorithm: 'ecdsa', hash: 'sha1' } })],
  ['G49', 'a DevID key on SM2', await spoiled({ curve: 'sm2' })],
  ['G49', 'a DevID key of 1024 bits', await spoiled({ keyBits: 1024, modulus: new Uint8Array(128).fill(0xc1) }, 'rsa')],
  ['G49', 'a DevID key of the ROCA kind', await spoiled({ modulus: rocaModulus() }, 'rsa')],
  [
    'G50',
    'a signature by another key',
    { response: (sent) => ({ ...sent, devidSignature: other.sign(new Uint8Array(32)) }) },
  ],
  [
    'G50',
    'a signature over another nonce',
    { challenge: (asked) => ({ ...asked, devidNonce: oneBitOff(asked.devidNonce) }) },
  ],
];
test.each(REFUSED)('%s refuses %s', async (check, _what, attestation) => {
  await expect(attest(attestation)).rejects.toEqual(deniedBy(check));
});

const text = (value: unknown) => () => new Uint8Array(Buffer.from(JSON.stringify(value)));
const UNREADABLE: readonly (readonly [string, RegExp, Attestation])[] = [
  ['no JSON', /payload is no JSON text/, { payloadBytes: (bytes) => bytes.subarray(1) }],
  ['a payload of the attestor tpm', /payload is no JSON text/, { payloadBytes: () => Buffer.from('ATPM\u0001\u0001') }],
  ['a list', /payload is no JSON object/, { payloadBytes: text([]) }],
  ['no certificate', /payload has no "DevIDCert"/, { payloadBytes: text({ DevIDCert: null }) }],
  ['nine certificates', /has 9 certificates/, { payloadBytes: text({ DevIDCert: Array(9).fill('AA==') }) }],
  ['a number for bytes', /something other than text in "DevIDPub"/, { payloadBytes: withField('DevIDPub', 1) }],
  ['a missing field', /payload has no "EKCert"/, { payloadBytes: withField('EKCert', null) }],
  ['base64 that is none', /no base64 in "AKPub"/, { payloadBytes: withField('AKPub', 'A===') }],
  [
    'an oversized public area',
    /1025 bytes in "EKPub"/,
    { payloadBytes: withField('EKPub', Buffer.alloc(1025).toString('base64')) },
  ],
  [
    'a truncated public area',
    /TPMT_PUBLIC/,
    { payload: (sent) => ({ ...sent, devidPublic: sent.devidPublic.subarray(0, 40) }) },
  ],
  [
    'a public area with its length',
    /^unknown hash algorithm 0x0001 in a TPM structure$/,
    { payload: (sent) => ({ ...sent, akPublic: Uint8Array.of(0, 75, ...sent.akPublic) }) },
  ],
  [
    'a DevID certificate that is none',
    /the DevID certificate: the certificate cannot be read/,
    { certificates: [Uint8Array.of(1, 2)] },
  ],
  ['a DevID certificate with a byte behind it', /the DevID certificate: /, { certificates: [longer(certificate[0])] }],
  [
    'an intermediate that is none',
    /certificate 2 of the DevID’s chain/,
    { certificates: [certificate[0], Uint8Array.of(1)] },
  ],
  [
    'a truncated certification',
    /TPMT_SIGNATURE/,
    {
      payload: (sent) => ({
        ...sent,
        certification: { ...sent.certification, signature: sent.certification.signature.subarray(0, 20) },
      }),
    },
  ],
  ['a response without a signature', /response has no "DevID"/, { responseBytes: text({ CredActivation: 'AA==' }) }],
  [
    'a binding without a signature',
    /response has no "BoundCertificationSignature"/,
    { responseBytes: withField('BoundCertificationSignature', null) },
  ],
];
test.each(UNREADABLE)('refuses %s with the reason', async (_what, message, attestation) => {
  await expect(attest(attestation)).rejects.toThrow(
    expect.objectContaining({
      code: expect.stringMatching(/^(TPM_DATA_INVALID|CERTIFICATE_INVALID)$/),
      message: expect.stringMatching(message),
    }),
  );
});

test('what nobody thought of refuses too (F42)', async () => {
  const broken: Attestation = {
    now: () => {
      throw new TypeError('unforeseen');
    },
  };
  await expect(attest(broken)).rejects.toEqual(deniedBy('F42'));
});

function longer(bytes: Uint8Array): Uint8Array {
  return Uint8Array.from([...bytes, 0]);
}

function withField(name: string, value: unknown) {
  return (bytes: Uint8Array) =>
    new Uint8Array(Buffer.from(JSON.stringify({ ...JSON.parse(Buffer.from(bytes).toString()), [name]: value })));
}
