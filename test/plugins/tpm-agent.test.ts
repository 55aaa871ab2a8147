import { createHash, randomBytes, X509Certificate } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type TpmAgentConfig, tpmAgentConfig } from '../../src/plugins/tpm/agent-config.ts';
import {
  type AttestationChallenge,
  decodePayload,
  decodeResponse,
  encodeChallenge,
} from '../../src/plugins/tpm/codec.ts';
import { aidTpmAttestation } from '../../src/plugins/tpm/prove.ts';
import { type Swtpm, startSwtpm } from '../../src/testing/swtpm.ts';
import { requireAttestationKey } from '../../src/tpm/attestation-key.ts';
import { requireEndorsementKey } from '../../src/tpm/endorsement-key.ts';
import { makeCredential } from '../../src/tpm/make-credential.ts';
import { qualifyingData } from '../../src/tpm/qualifying-data.ts';
import { verifyQuote } from '../../src/tpm/quote.ts';
import type { AttestationKeys } from '../../src/tpm-device/attestation-keys.ts';
import { TpmDevice } from '../../src/tpm-device/device.ts';
import { ekHash } from '../../src/tpm-device/endorsement.ts';
import { TpmProxy } from '../harness/tpm-proxy.ts';

const CSR_KEY = Uint8Array.from({ length: 91 }, (_, index) => index);
const NV = { p256: '0x01c0000a', p384: '0x01c00016', chain: ['0x01c00100', '0x01c00101'] } as const;
const PCRS = { bank: 'sha256', indices: [0, 7, 10, 14] } as const;
const PCR_READ = 0x17e;
/** TPM2_PCR_Extend of PCR 14 with a digest of 0x55, authorized by its empty password. */
const EXTEND_PCR_14 = Buffer.from(
  `800200000041000001820000000e00000009400000090000000000${'00000001000b'}${'55'.repeat(32)}`,
  'hex',
);

let tpm: Swtpm;
let bare: Swtpm;
beforeAll(async () => {
  [tpm, bare] = await Promise.all([startSwtpm({ ek: ['rsa-2048', 'ec-p256', 'ec-p384'] }), startSwtpm({ ek: [] })]);
});
afterAll(async () => {
  await tpm[Symbol.asyncDispose]();
  await bare[Symbol.asyncDispose]();
});

const configFor = (tcti: string, rest: object = {}): TpmAgentConfig => tpmAgentConfig.parse({ tcti, ...rest });

/** The server's half as far as these tests need it. */
function challengeFor(payloadBytes: Uint8Array, pcrs: AttestationChallenge['pcrs'] = PCRS) {
  const payload = decodePayload(payloadBytes);
  const ek = requireEndorsementKey(payload.ekPublic);
  const ak = requireAttestationKey(payload.akPublic);
  const [secret, nonce] = [randomBytes(32), randomBytes(32)];
  return {
    payload,
    ek,
    ak,
    secret,
    nonce,
    bytes: encodeChallenge({ ...makeCredential(ek, ak.name, secret), nonce, pcrs }),
  };
}

async function attest(config: TpmAgentConfig) {
  let keys: AttestationKeys | undefined;
  const proof = aidTpmAttestation(config, CSR_KEY, {
    onKeys: (loaded) => {
      keys = loaded;
    },
  });
  const first = await proof.next();
  if (first.done === true || keys === undefined) throw new Error('no payload');
  const challenge = challengeFor(first.value);
  const second = await proof.next(challenge.bytes);
  if (second.done === true) throw new Error('no response');
  expect(await proof.next(challenge.bytes)).toMatchObject({ done: true });
  return { ...challenge, keys, response: decodeResponse(second.value) };
}

async function expectNothingLeft(device: Swtpm): Promise<void> {
  expect(await device.handles('transient')).toEqual([]);
  expect(await device.handles('loaded-session')).toEqual([]);
}

const kinds = [
  ['rsa-2048', 'L-1', 'ec-p256'],
  ['rsa-2048', 'L-1', 'rsa-2048'],
  ['ec-p256', 'L-2', 'ec-p256'],
  ['ec-p256', 'L-2', 'rsa-2048'],
  ['ec-p384', 'H-3', 'ec-p256'],
  ['ec-p384', 'H-3', 'rsa-2048'],
] as const;
describe.each(kinds)('an EK %s (template %s) with an AK %s', (ekAlgorithm, templateName, akAlgorithm) => {
  const attestWith = () => attest(configFor(tpm.tcti, { ek_algorithm: ekAlgorithm, ak_algorithm: akAlgorithm }));

  test('activates the credential and quotes what the verifier accepts', async () => {
    const { payload, ek, ak, secret, nonce, response } = await attestWith();
    expect(ek.template.name).toBe(templateName);
    expect(Buffer.from(response.secret)).toEqual(secret);
    const binding = { nonce, csrPublicKey: CSR_KEY, ekName: ek.name, akName: ak.name };
    const expected = { ek, ak, qualifyingData: qualifyingData(binding), pcrs: PCRS, allowUnmeasured: true };
    expect([...verifyQuote(response, expected).pcrs.keys()]).toEqual(PCRS.indices);
    const [certificate] = payload.ekCertificates;
    expect(new X509Certificate(certificate ?? '').raw).toHaveLength(certificate?.length ?? 0);
    await expectNothingLeft(tpm);
  });

  test('gives a quote that tpm2_checkquote accepts for its PCR values', async () => {
    const { payload, ek, ak, nonce, response } = await attestWith();
    const binding = { nonce, csrPublicKey: CSR_KEY, ekName: ek.name, akName: ak.name };
    await tpm.write('ak.pub', payload.akPublic);
    await tpm.write('quote.msg', response.quote);
    await tpm.write('quote.sig', response.signature);
    const pem = await tpm.tools('tpm2_print', '-t', 'TPM2B_PUBLIC', '-f', 'pem', 'ak.pub');
    await tpm.write('ak.pem', Buffer.from(pem));
    const selection = `sha256:${PCRS.indices.join(',')}`;
    await tpm.tools('tpm2_pcrread', selection, '-o', 'pcrs.bin');
    expect(Buffer.from(await tpm.read('pcrs.bin'))).toEqual(Buffer.concat(response.pcrValues));
    const qualification = Buffer.from(qualifyingData(binding)).toString('hex');
    const files = ['-u', 'ak.pem', '-m', 'quote.msg', '-s', 'quote.sig', '-f', 'pcrs.bin'];
    await tpm.tools('tpm2_checkquote', ...files, '-l', selection, '-g', 'sha256', '-q', qualification);
  });
});

describe('the endorsement key', () => {
  test('is the RSA one when all have certificates', async () => {
    const { ek } = await attest(configFor(tpm.tcti));
    expect(ek.template.name).toBe('L-1');
  });

  test('is one that has a certificate, when another has none', async () => {
    const certificate = (await attest(configFor(tpm.tcti, { ek_algorithm: 'ec-p384' }))).payload.ekCertificates[0];
    expect((await attest(configFor(bare.tcti))).payload.ekCertificates).toEqual([]);
    await bare.writeNv(NV.p384, certificate ?? new Uint8Array(0));
    try {
      // A certificate of another TPM's key is none for this one.
      const { payload, ek } = await attest(configFor(bare.tcti));
      expect([ek.template.name, payload.ekCertificates]).toEqual(['L-1', []]);
    } finally {
      await bare.removeNv(NV.p384);
    }
  });

  test('without a certificate is known by the hash of the key that tpm2_createek makes', async () => {
    const { payload, keys, response, secret } = await attest(configFor(bare.tcti));
    expect(payload.ekCertificates).toEqual([]);
    await bare.tools('tpm2_createek', '-G', 'rsa', '-c', 'ek.ctx', '-f', 'der', '-u', 'ek.spki');
    await bare.tools('tpm2_flushcontext', '-t');
    expect(ekHash(keys.ek)).toBe(
      createHash('sha256')
        .update(await bare.read('ek.spki'))
        .digest('hex'),
    );
    expect(Buffer.from(response.secret)).toEqual(secret);
    await expectNothingLeft(bare);
  });

  test.each([
    [
      'a wrapper',
      (der: Buffer) => Buffer.concat([Buffer.of(0x10, 0x01, 0x00, der.length >> 8, der.length & 0xff), der]),
    ],
    ['padding of FF', (der: Buffer) => Buffer.concat([der, Buffer.alloc(1000, 0xff)])],
    ['padding of 00', (der: Buffer) => Buffer.concat([der, Buffer.alloc(7)])],
  ] as const)('sends exact DER where NV holds %s', async (_rule, disguise) => {
    const config = configFor(tpm.tcti, { ek_algorithm: 'ec-p256' });
    const [certificate] = (await attest(config)).payload.ekCertificates;
    const der = Buffer.from(certificate ?? '');
    await tpm.removeNv(NV.p256);
    await tpm.writeNv(NV.p256, disguise(der));
    try {
      expect((await attest(config)).payload.ekCertificates.map((bytes) => Buffer.from(bytes))).toEqual([der]);
    } finally {
      await tpm.removeNv(NV.p256);
      await tpm.writeNv(NV.p256, der);
    }
  });

  test('brings the chain that NV holds, over several indices', async () => {
    const config = configFor(tpm.tcti);
    const [certificate] = (await attest(config)).payload.ekCertificates;
    const der = Buffer.from(certificate ?? '');
    const chain = Buffer.concat([der, der, Buffer.alloc(20)]);
    const [first, second] = NV.chain;
    await tpm.writeNv(first, chain.subarray(0, 700));
    await tpm.writeNv(second, chain.subarray(700));
    try {
      const sent = (await attest(config)).payload.ekCertificates;
      expect(sent.map((bytes) => Buffer.from(bytes))).toEqual([der, der, der]);
    } finally {
      await tpm.removeNv(first);
      await tpm.removeNv(second);
    }
  });

  test('is used with the authorization in endorsement_auth_path', async () => {
    const path = join(bare.folder, 'auth');
    await writeFile(path, 'open sesame\n', { mode: 0o600 });
    await bare.tools('tpm2_changeauth', '-c', 'e', 'open sesame');
    try {
      await expect(attest(configFor(bare.tcti))).rejects.toMatchObject({
        code: 'TPM_UNAVAILABLE',
        message: expect.stringMatching(/asks for an authorization .* correct "endorsement_auth_path"/),
      });
      const { response, secret } = await attest(configFor(bare.tcti, { endorsement_auth_path: path }));
      expect(Buffer.from(response.secret)).toEqual(secret);
    } finally {
      await bare.tools('tpm2_changeauth', '-c', 'e', '-p', 'open sesame');
    }
    await expectNothingLeft(bare);
  });
});

describe('the challenge', () => {
  const payloadOf = async (proof: ReturnType<typeof aidTpmAttestation>) => {
    const { value } = await proof.next();
    return value ?? new Uint8Array(0);
  };

  const wrong = [
    ['that is no message', () => Buffer.from('gurke'), { code: 'TPM_DATA_INVALID' }],
    [
      'for a bank that is not allocated',
      (payload: Uint8Array) => challengeFor(payload, { bank: 'sha384', indices: [0] }).bytes,
      { code: 'TPM_UNAVAILABLE', message: expect.stringMatching(/PCRs 0 of the sha384 bank.* has allocated sha256/) },
    ],
    [
      'for the TPM of somebody else',
      (payload: Uint8Array) => {
        const { ek, nonce } = challengeFor(payload);
        return encodeChallenge({ ...makeCredential(ek, ek.name, randomBytes(32)), nonce, pcrs: PCRS });
      },
      { code: 'TPM_UNAVAILABLE', message: expect.stringMatching(/TPM2_ActivateCredential/) },
    ],
  ] as const;
  test.each(wrong)('%s is refused, and nothing is left behind', async (_rule, challenge, error) => {
    const proof = aidTpmAttestation(configFor(tpm.tcti), CSR_KEY);
    await expect(proof.next(challenge(await payloadOf(proof)))).rejects.toMatchObject(error);
    await expectNothingLeft(tpm);
  });

  test('that never comes leaves nothing behind', async () => {
    const proof = aidTpmAttestation(configFor(tpm.tcti), CSR_KEY);
    await payloadOf(proof);
    await proof.return();
    await expectNothingLeft(tpm);
  });

  test('is answered with values that belong to the quote, though a PCR changes in between', async () => {
    let extensions = 2;
    await using proxy = await TpmProxy.start(tpm, {
      findPrelude: (code) => (code === PCR_READ && extensions-- > 0 ? EXTEND_PCR_14 : undefined),
    });
    const before = await tpm.tools('tpm2_pcrread', 'sha256:14');
    const { ek, ak, nonce, response } = await attest(configFor(proxy.tcti));
    expect(await tpm.tools('tpm2_pcrread', 'sha256:14')).not.toBe(before);
    const binding = { nonce, csrPublicKey: CSR_KEY, ekName: ek.name, akName: ak.name };
    const expected = { ek, ak, qualifyingData: qualifyingData(binding), pcrs: PCRS, allowUnmeasured: true };
    expect(verifyQuote(response, expected).pcrs.size).toBe(PCRS.indices.length);
    expect(proxy.messages.filter(({ commandCode }) => commandCode === PCR_READ).length).toBeGreaterThan(2);
  });
});

test('the properties are those that tpm2_getcap prints', async () => {
  await using device = await TpmDevice.open(tpm.tcti);
  const { manufacturer, vendorString } = await device.readProperties();
  await device[Symbol.asyncDispose]();
  const printed = await tpm.tools('tpm2_getcap', 'properties-fixed');
  expect(printed).toContain(`value: "${manufacturer}`);
  expect(vendorString).toMatch(/^SW +TPM$/);
});

describe('the configuration', () => {
  test('needs nothing', () => {
    expect(tpmAgentConfig.parse({})).toEqual({
      tcti: 'device:/dev/tpmrm0',
      ek_algorithm: 'auto',
      ak_algorithm: 'ec-p256',
      endorsement_auth_path: undefined,
      event_log_path: '/sys/kernel/security/tpm0/binary_bios_measurements',
      ima_log_path: '/sys/kernel/security/ima/binary_runtime_measurements',
      command_line_path: '/proc/cmdline',
      lock_timeout: 10_000,
    });
  });

  test.each([
    [{ ek_algorithm: 'rsa-1024' }, /must be one of/],
    [{ lock_timeout: 5 }, /a number and a unit/],
    [{ gurke: 1 }, /gurke/],
  ])('refuses %j', (config, message) => {
    expect(() => tpmAgentConfig.parse(config)).toThrow(message);
  });
});
