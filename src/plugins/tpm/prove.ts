import { SpiffeError } from '../../spiffe/error.ts';
import type { AkTemplateName } from '../../tpm/ak-templates.ts';
import { qualifyingData } from '../../tpm/qualifying-data.ts';
import { AttestationKeys } from '../../tpm-device/attestation-keys.ts';
import { TpmDevice } from '../../tpm-device/device.ts';
import { quotePcrs, requirePcrs } from '../../tpm-device/quote-pcrs.ts';
import type { TpmAgentConfig } from './agent-config.ts';
import { type AttestationChallenge, decodeChallenge, encodePayload, encodeResponse } from './codec.ts';
import { type BootLog, decodeLogRequest, encodeLogChunk } from './log-codec.ts';
import { LOG_PATH_KEYS } from './log-paths.ts';
import { MeasuredLog } from './measured-log.ts';
import { type BoundKey, certifyBoundKey, findBoundKey } from './prove-key.ts';

const AK_TEMPLATE_NAMES: Readonly<Record<TpmAgentConfig['ak_algorithm'], AkTemplateName>> = {
  'ec-p256': 'ecc-p256',
  'rsa-2048': 'rsa-2048',
};

export interface ProofOptions {
  readonly signal?: AbortSignal;
  /** Told once the keys are loaded: an EK may turn out to have no certificate. */
  readonly onKeys?: (keys: AttestationKeys) => void;
}

/**
 * Proves to a server which TPM this is: yields the payload, receives the challenge, yields the response, and then what the
 * server asks for of the logs that it wants. The TPM is held until the response is made: logs are read after the quote, so
 * that they have all that the quote has.
 *
 * @param csrPublicKey SubjectPublicKeyInfo (DER) of the key that is to be certified; empty under a host that does not tell
 * @throws SpiffeError `TPM_UNAVAILABLE`, `TPM_DATA_INVALID` for a challenge that is malformed
 */
export async function* aidTpmAttestation(
  config: TpmAgentConfig,
  csrPublicKey: Uint8Array,
  proofOptions: ProofOptions = {},
): AsyncGenerator<Uint8Array, void, Uint8Array> {
  const { response, logs } = yield* proveKeys(config, csrPublicKey, proofOptions);
  const request = yield response;
  if (logs.length > 0) yield* sendLogs(config, logs, request);
}

interface Answer {
  readonly response: Uint8Array;
  /** What the server will ask for. */
  readonly logs: readonly BootLog[];
}

async function* proveKeys(
  config: TpmAgentConfig,
  csrPublicKey: Uint8Array,
  { signal, onKeys }: ProofOptions,
): AsyncGenerator<Uint8Array, Answer, Uint8Array> {
  const { keys_path: keysPath, owner_auth_path: ownerAuthPath } = config;
  const boundKey = keysPath === undefined ? undefined : await findBoundKey({ keysPath, ownerAuthPath }, csrPublicKey);
  const options = { lockTimeoutMs: config.lock_timeout, ...(signal && { signal }) };
  await using tpm = await TpmDevice.open(config.tcti, options);
  await using keys = await AttestationKeys.load(tpm, {
    ek: config.ek_algorithm,
    ak: AK_TEMPLATE_NAMES[config.ak_algorithm],
    endorsementAuthPath: config.endorsement_auth_path,
  });
  onKeys?.(keys);
  const challenge = decodeChallenge(yield attestationPayload(keys));
  const response = await answerChallenge(tpm, keys, { challenge, csrPublicKey, boundKey });
  return { response, logs: challenge.logs ?? [] };
}

/** Answers requests for parts of the logs for as long as they come. */
async function* sendLogs(
  config: Pick<TpmAgentConfig, (typeof LOG_PATH_KEYS)[BootLog]>,
  wanted: readonly BootLog[],
  first: Uint8Array,
): AsyncGenerator<Uint8Array, void, Uint8Array> {
  await using open = new AsyncDisposableStack();
  const logs = new Map(
    wanted.map((log) => [log, open.use(new MeasuredLog(config[LOG_PATH_KEYS[log]], LOG_PATH_KEYS[log]))]),
  );
  for (let message = first; ; ) {
    const request = decodeLogRequest(message);
    const log = logs.get(request.log);
    if (log === undefined) {
      throw new SpiffeError('TPM_DATA_INVALID', `the server asks for the ${request.log}, and did not announce that`);
    }
    message = yield encodeLogChunk(await log.read(request));
  }
}

function attestationPayload({ ek, ak }: AttestationKeys): Uint8Array {
  return encodePayload({
    ekPublic: ek.key.publicBytes,
    akPublic: ak.publicBytes,
    ekCertificates: ek.certificates,
  });
}

interface Exchange {
  readonly challenge: AttestationChallenge;
  readonly csrPublicKey: Uint8Array;
  readonly boundKey: BoundKey | undefined;
}

/** Activates the credential and quotes the PCRs, bound to the nonce, the CSR's key, the EK and the AK. */
async function answerChallenge(
  tpm: TpmDevice,
  keys: AttestationKeys,
  { challenge, csrPublicKey, boundKey }: Exchange,
): Promise<Uint8Array> {
  await requirePcrs(tpm, challenge.pcrs);
  const { ek, ak } = keys;
  const secret = await tpm.activateCredential({ ek: ek.key, ekTemplate: ek.template, ak }, challenge);
  const binding = {
    nonce: challenge.nonce,
    csrPublicKey,
    ekName: ek.key.tpmName,
    akName: ak.tpmName,
  };
  const quoted = await quotePcrs(tpm, ak, qualifyingData(binding), challenge.pcrs);
  if (boundKey === undefined) return encodeResponse({ secret, ...quoted });
  await ek.key[Symbol.asyncDispose](); // a TPM has three places at least: for the AK, the key and, a while, its parent
  const keyBinding = await certifyBoundKey(tpm, ak, boundKey, qualifyingData(binding, 'tpm_key'));
  return encodeResponse({ secret, ...quoted, keyBinding });
}
