import { SpiffeError } from '../../spiffe/error.ts';
import { encodePublicArea } from '../../tpm/public-area.ts';
import { qualifyingData } from '../../tpm/qualifying-data.ts';
import { sized } from '../../tpm/tpm-writer.ts';
import { TpmDevice, type TpmKey } from '../../tpm-device/device.ts';
import { loadDevidKey, signWithDevidKey, withDevidPassword } from '../../tpm-device/devid-key.ts';
import { type EndorsementKey, loadEndorsementKey } from '../../tpm-device/endorsement.ts';
import { orWrongPassword } from '../../tpm-device/tpm-response.ts';
import type { DevidAgentConfig } from './agent-config.ts';
import type { DevidFiles } from './devid-files.ts';
import { decodeDevidChallenge, encodeDevidPayload, encodeDevidResponse } from './messages.ts';

/** What the agent half knows: a value that a new configuration replaces. */
export interface DevidProverState {
  readonly config: Pick<
    DevidAgentConfig,
    'devid_password' | 'owner_hierarchy_password' | 'endorsement_hierarchy_password' | 'ek_algorithm' | 'lock_timeout'
  >;
  readonly tcti: string;
  readonly files: DevidFiles;
}

interface Keys {
  readonly devid: TpmKey;
  readonly ek: EndorsementKey;
  readonly ak: TpmKey;
}

/** The only one that SPIRE's server takes. */
const AK_TEMPLATE = 'rsa-2048';
/** The DevID key signs what it is given: nothing that is long enough to mean something elsewhere, such as a certificate. */
const NONCE_BYTES = { min: 16, max: 64 };
const NONE = new Uint8Array(0);

/**
 * Proves to a server that the key of the DevID certificate is in this TPM: yields the payload, receives the challenge, yields the
 * response. The TPM is held until the generator ends.
 *
 * @param csrPublicKey SubjectPublicKeyInfo (DER) of the key that is to be certified; absent under a host that does not tell
 * @throws SpiffeError `TPM_UNAVAILABLE`, `FILE_UNUSABLE`, `FAILED_PRECONDITION`, `TPM_DATA_INVALID` for a challenge that is malformed
 */
export async function* aidDevidAttestation(
  { config, tcti, files }: DevidProverState,
  csrPublicKey?: Uint8Array,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array, void, Uint8Array> {
  await using tpm = await TpmDevice.open(tcti, { lockTimeoutMs: config.lock_timeout, ...(signal && { signal }) });
  // In this order three objects are loaded at a time, for which every TPM has room.
  await using devid = await loadDevidKey(tpm, files, {
    owner: Buffer.from(config.owner_hierarchy_password),
    devid: Buffer.from(config.devid_password),
  });
  const ek = await loadEk(tpm, config);
  await using _ek = ek.key;
  await using ak = await withEndorsementPassword(tpm.createAk(ek.key, ek.template, AK_TEMPLATE));
  const keys: Keys = { devid, ek, ak };
  const challenge = yield await attestationPayload(tpm, keys, files);
  yield await answerChallenge(tpm, keys, challenge, csrPublicKey);
}

async function loadEk(tpm: TpmDevice, config: DevidProverState['config']): Promise<EndorsementKey> {
  const password = Buffer.from(config.endorsement_hierarchy_password);
  if (password.length > 0) await tpm.setEndorsementAuth(password);
  return await withEndorsementPassword(loadEndorsementKey(tpm, config.ek_algorithm));
}

/** Says that the password is wrong where a command needs it: the first is that which makes the EK or, where the TPM holds it, the AK. */
async function withEndorsementPassword<T>(command: Promise<T>): Promise<T> {
  return await orWrongPassword(
    command,
    'the TPM asks for the password of its endorsement hierarchy: correct "endorsement_hierarchy_password"',
  );
}

async function attestationPayload(tpm: TpmDevice, { devid, ek, ak }: Keys, files: DevidFiles): Promise<Uint8Array> {
  const [ekCertificate] = ek.certificates;
  if (ekCertificate === undefined) {
    throw new SpiffeError(
      'TPM_UNAVAILABLE',
      'the TPM holds no certificate for its endorsement key, which this attestor needs: choose another "ek_algorithm", or the attestor "tpm"',
    );
  }
  return encodeDevidPayload({
    devidCertificates: files.certificates,
    devidPublic: encodePublicArea(devid.publicArea),
    ekCertificate,
    ekPublic: encodePublicArea(ek.key.publicArea),
    akPublic: encodePublicArea(ak.publicArea),
    certification: await withDevidPassword(tpm.certifyKey(devid, ak, NONE)),
  });
}

async function answerChallenge(
  tpm: TpmDevice,
  { devid, ek, ak }: Keys,
  bytes: Uint8Array,
  csrPublicKey: Uint8Array | undefined,
): Promise<Uint8Array> {
  const { devidNonce, credentialBlob, encryptedSecret, bindingNonce } = decodeDevidChallenge(bytes);
  if (devidNonce.length < NONCE_BYTES.min || devidNonce.length > NONCE_BYTES.max) {
    throw new SpiffeError(
      'TPM_DATA_INVALID',
      `the server asks the DevID key to sign ${devidNonce.length} bytes, ${NONCE_BYTES.min} to ${NONCE_BYTES.max} are signed`,
    );
  }
  const credential = { credentialBlob: sized(credentialBlob), encryptedSecret: sized(encryptedSecret) };
  const secret = await tpm.activateCredential({ ek: ek.key, ekTemplate: ek.template, ak }, credential);
  const response = { devidSignature: await signWithDevidKey(tpm, devid, devidNonce), secret };
  if (bindingNonce === undefined || csrPublicKey === undefined) return encodeDevidResponse(response);
  const binding = { nonce: bindingNonce, csrPublicKey, ekName: ek.key.tpmName, akName: ak.tpmName };
  const boundCertification = await tpm.certifyKey(devid, ak, qualifyingData(binding, 'tpm_devid'));
  return encodeDevidResponse({ ...response, boundCertification });
}
