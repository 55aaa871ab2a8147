import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { tpmAgentConfig } from '../../../src/plugins/tpm/agent-config.ts';
import { decodePayload, decodeResponse, encodeChallenge } from '../../../src/plugins/tpm/codec.ts';
import { aidTpmAttestation } from '../../../src/plugins/tpm/prove.ts';
import { tpmKeysConfig } from '../../../src/plugins/tpm-keys/config.ts';
import { TpmKeys } from '../../../src/plugins/tpm-keys/tpm-keys.ts';
import { type Swtpm, startSwtpm } from '../../../src/testing/swtpm.ts';
import { requireAttestationKey } from '../../../src/tpm/attestation-key.ts';
import { requireEndorsementKey } from '../../../src/tpm/endorsement-key.ts';
import { verifyKeyBinding } from '../../../src/tpm/key-binding.ts';
import { makeCredential } from '../../../src/tpm/make-credential.ts';
import { nameOf } from '../../../src/tpm/names.ts';
import { encodePublic } from '../../../src/tpm/public-area.ts';
import { qualifyingData } from '../../../src/tpm/qualifying-data.ts';
import { verifyQuote } from '../../../src/tpm/quote.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../../harness/temporary-folder.ts';
import { madeKeyArea } from '../../tpm/made-key.ts';

const PCRS = { bank: 'sha256', indices: [0, 7] } as const;
const resources = new AsyncDisposableStack();
let tpm: Swtpm;
let folder: TemporaryFolder;
let keys: TpmKeys;
beforeAll(async () => {
  folder = resources.use(await createTemporaryFolder());
  tpm = resources.use(await startSwtpm({ ek: ['rsa-2048', 'ec-p384'] }));
  keys = await TpmKeys.open(tpmKeysConfig.parse({ tcti: tpm.tcti, keys_path: folder.join('keys') }));
});
afterAll(() => resources.disposeAsync());

/** One attestation for a key, up to the response; the server's half as far as this needs it. */
async function certify(csrPublicKey: Uint8Array, algorithms: object) {
  const config = tpmAgentConfig.parse({ tcti: tpm.tcti, keys_path: folder.join('keys'), ...algorithms });
  const proof = aidTpmAttestation(config, csrPublicKey);
  const first = await proof.next();
  if (first.done === true) throw new Error('no payload');
  const payload = decodePayload(first.value);
  const ek = requireEndorsementKey(payload.ekPublic);
  const ak = requireAttestationKey(payload.akPublic);
  const nonce = randomBytes(32);
  const challenge = encodeChallenge({ ...makeCredential(ek, ak.name, randomBytes(32)), nonce, pcrs: PCRS });
  const second = await proof.next(challenge);
  if (second.done === true) throw new Error('no response');
  await proof.return();
  const response = decodeResponse(second.value);
  const { keyBinding } = response;
  if (keyBinding === undefined) throw new Error('nothing was certified');
  const binding = { nonce, csrPublicKey, ekName: ek.name, akName: ak.name };
  const quote = verifyQuote(response, {
    ...{ ek, ak, pcrs: PCRS, allowUnmeasured: true },
    qualifyingData: qualifyingData(binding),
  });
  const certified = qualifyingData(binding, 'tpm_key');
  verifyKeyBinding(keyBinding, { ek, ak, quote, csrPublicKey, qualifyingData: certified });
  return { payload, keyBinding, qualifyingData: certified };
}

const kinds = [
  ['ec-p256', 'rsa-2048', 'ec-p256'],
  ['rsa-2048', 'rsa-2048', 'ec-p256'],
  ['ec-p256', 'rsa-2048', 'rsa-2048'],
  ['ec-p384', 'ec-p384', 'ec-p256'],
] as const;
describe.each(kinds)('a key %s, certified below an EK %s by an AK %s', (type, ek, ak) => {
  test('has the Name that tpm2_loadexternal computes, and a signature that tpm2_verifysignature takes', async () => {
    const { publicKey } = await keys.generate('certified', type);
    const {
      payload,
      keyBinding,
      qualifyingData: extra,
    } = await certify(publicKey, { ek_algorithm: ek, ak_algorithm: ak });
    await tpm.write('ak.pub', payload.akPublic);
    await tpm.write('key.pub', keyBinding.publicArea);
    await tpm.write('certify.msg', keyBinding.attest);
    await tpm.write('certify.sig', keyBinding.signature);
    await tpm.tools('tpm2_loadexternal', '-C', 'n', '-u', 'key.pub', '-c', 'key.ctx', '-n', 'key.name');
    await tpm.tools('tpm2_flushcontext', '-t');
    const certified = Buffer.from(keyBinding.attest);
    expect(certified.includes(Buffer.from(await tpm.read('key.name')))).toBe(true);
    expect(certified.includes(Buffer.from(extra))).toBe(true);
    await tpm.tools('tpm2_loadexternal', '-C', 'n', '-u', 'ak.pub', '-c', 'ak.ctx');
    await tpm.tools('tpm2_flushcontext', '-t');
    await tpm.tools('tpm2_verifysignature', '-c', 'ak.ctx', '-g', 'sha256', '-m', 'certify.msg', '-s', 'certify.sig');
    await tpm.tools('tpm2_flushcontext', '-t');
  });
});

test('a host that does not tell the key is told what to do', async () => {
  await expect(certify(new Uint8Array(), {})).rejects.toThrow(/leave "keys_path" of the attestor out/);
});

test('a TPM certifies no key of which it holds the public area alone, whatever that claims', async () => {
  const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const claimed = madeKeyArea(new Uint8Array(publicKey.export({ type: 'spki', format: 'der' })));
  await tpm.write('claimed.pub', encodePublic(claimed));
  await tpm.tools('tpm2_createek', '-G', 'rsa', '-c', 'ek.ctx', '-u', 'ek.pub');
  await tpm.tools('tpm2_flushcontext', '-t');
  await tpm.tools(
    'tpm2_createak',
    '-C',
    'ek.ctx',
    '-c',
    'ak.ctx',
    '-G',
    'ecc',
    '-g',
    'sha256',
    '-s',
    'ecdsa',
    '-u',
    'ak.pub',
  );
  for (const kind of ['-t', '-l', '-s']) await tpm.tools('tpm2_flushcontext', kind);
  const shown = await tpm.tools('tpm2_loadexternal', '-C', 'n', '-u', 'claimed.pub', '-c', 'claimed.ctx');
  expect(shown).toContain(Buffer.from(nameOf(claimed)).toString('hex'));
  await tpm.tools('tpm2_flushcontext', '-t');
  const certifying = tpm.tools(
    'tpm2_certify',
    '-c',
    'claimed.ctx',
    '-C',
    'ak.ctx',
    '-g',
    'sha256',
    '-o',
    'x',
    '-s',
    'y',
  );
  await expect(certifying).rejects.toThrow(/authValue or authPolicy is not available/);
  await tpm.tools('tpm2_flushcontext', '-t');
});
