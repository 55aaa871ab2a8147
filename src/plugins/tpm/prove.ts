import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { SpiffeError } from '../../spiffe/error.ts';
import type { AkTemplateName } from '../../tpm/ak-templates.ts';
import { parseQuoteAttest } from '../../tpm/attest.ts';
import { qualifyingData } from '../../tpm/qualifying-data.ts';
import type { TpmAgentConfig } from './agent-config.ts';
import { type AttestationResponse, decodeChallenge, encodePayload, encodeResponse, type PcrRequest } from './codec.ts';
import { TpmDevice, type TpmKey } from './device.ts';
import { type EndorsementKey, loadEndorsementKey } from './endorsement.ts';

const AK_TEMPLATE_NAMES: Readonly<Record<TpmAgentConfig['ak_algorithm'], AkTemplateName>> = {
  'ec-p256': 'ecc-p256',
  'rsa-2048': 'rsa-2048',
};
/** A PCR may be extended between a quote and the reading of its values. */
const MAX_QUOTES = 5;
const MAX_AUTH_BYTES = 64;

/** The two keys of an attestation. Disposing flushes them. */
export class AttestationKeys implements AsyncDisposable {
  readonly ek: EndorsementKey;
  readonly ak: TpmKey;

  private constructor(ek: EndorsementKey, ak: TpmKey) {
    this.ek = ek;
    this.ak = ak;
  }

  static async load(tpm: TpmDevice, config: TpmAgentConfig): Promise<AttestationKeys> {
    if (config.endorsement_auth_path !== undefined) {
      await authorizeEndorsement(tpm, config.endorsement_auth_path);
    }
    const ek = await loadEndorsementKey(tpm, config.ek_algorithm);
    try {
      return new AttestationKeys(ek, await tpm.createAk(ek.key, ek.template, AK_TEMPLATE_NAMES[config.ak_algorithm]));
    } catch (error) {
      await ek.key[Symbol.asyncDispose]();
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.ak[Symbol.asyncDispose]();
    await this.ek.key[Symbol.asyncDispose]();
  }
}

export interface ProofOptions {
  readonly signal?: AbortSignal;
  /** Told once the keys are loaded: an EK may turn out to have no certificate. */
  readonly onKeys?: (keys: AttestationKeys) => void;
}

/**
 * Proves to a server which TPM this is: yields the payload, receives the challenge, yields the response.
 * The TPM is held until the generator ends.
 *
 * @param csrPublicKey SubjectPublicKeyInfo (DER) of the key that is to be certified; empty under a host that does not tell
 * @throws SpiffeError `TPM_UNAVAILABLE`, `TPM_DATA_INVALID` for a challenge that is malformed
 */
export async function* aidTpmAttestation(
  config: TpmAgentConfig,
  csrPublicKey: Uint8Array,
  { signal, onKeys }: ProofOptions = {},
): AsyncGenerator<Uint8Array, void, Uint8Array> {
  const options = { lockTimeoutMs: config.lock_timeout, ...(signal && { signal }) };
  await using tpm = await TpmDevice.open(config.tcti, options);
  await using keys = await AttestationKeys.load(tpm, config);
  onKeys?.(keys);
  const challenge = yield attestationPayload(keys);
  yield await answerChallenge(tpm, keys, { challenge, csrPublicKey });
}

export function attestationPayload({ ek, ak }: AttestationKeys): Uint8Array {
  return encodePayload({
    ekPublic: ek.key.publicBytes,
    akPublic: ak.publicBytes,
    ekCertificates: ek.certificates,
  });
}

/** Activates the credential and quotes the PCRs, bound to the nonce, the CSR's key, the EK and the AK. */
export async function answerChallenge(
  tpm: TpmDevice,
  keys: AttestationKeys,
  exchange: { challenge: Uint8Array; csrPublicKey: Uint8Array },
): Promise<Uint8Array> {
  const challenge = decodeChallenge(exchange.challenge);
  await requirePcrs(tpm, challenge.pcrs);
  const { ek, ak } = keys;
  const secret = await tpm.activateCredential({ ek: ek.key, ekTemplate: ek.template, ak }, challenge);
  const binding = qualifyingData({
    nonce: challenge.nonce,
    csrPublicKey: exchange.csrPublicKey,
    ekName: ek.key.tpmName,
    akName: ak.tpmName,
  });
  return encodeResponse({ secret, ...(await quoteWithValues(tpm, ak, binding, challenge.pcrs)) });
}

async function quoteWithValues(
  tpm: TpmDevice,
  ak: TpmKey,
  binding: Uint8Array,
  pcrs: PcrRequest,
): Promise<Omit<AttestationResponse, 'secret'>> {
  for (let attempt = 0; attempt < MAX_QUOTES; attempt++) {
    const { attest, signature } = await tpm.quote(ak, binding, pcrs);
    const pcrValues = await tpm.readPcrs(pcrs);
    const digest = createHash('sha256').update(Buffer.concat(pcrValues)).digest();
    if (digest.equals(parseQuoteAttest(attest).pcrDigest)) return { quote: attest, signature, pcrValues };
  }
  throw new SpiffeError(
    'TPM_UNAVAILABLE',
    `PCRs ${pcrs.indices.join(', ')} changed during each of ${MAX_QUOTES} quotes: leave out those that programs extend`,
  );
}

async function requirePcrs(tpm: TpmDevice, { bank, indices }: PcrRequest): Promise<void> {
  const banks = await tpm.readPcrBanks();
  const has = banks.find((selection) => selection.bank === bank)?.indices ?? [];
  const missing = indices.filter((index) => !has.includes(index));
  if (missing.length === 0) return;
  throw new SpiffeError(
    'TPM_UNAVAILABLE',
    `the server asks for PCRs ${missing.join(', ')} of the ${bank} bank, but this TPM has allocated ` +
      `${banks.map((selection) => selection.bank).join(', ') || 'no bank'}: allocate it with tpm2_pcrallocate, or ask for another`,
  );
}

async function authorizeEndorsement(tpm: TpmDevice, path: string): Promise<void> {
  const content = await readFile(path).catch((cause: unknown) => {
    throw new SpiffeError('FILE_UNUSABLE', 'cannot read the file that "endorsement_auth_path" names', { cause });
  });
  try {
    const length = content.at(-1) === 0x0a ? content.length - 1 : content.length;
    if (length > MAX_AUTH_BYTES) {
      throw new SpiffeError(
        'FILE_UNUSABLE',
        `the file that "endorsement_auth_path" names has ${length} bytes, a TPM takes at most ${MAX_AUTH_BYTES}`,
      );
    }
    await tpm.setEndorsementAuth(content.subarray(0, length));
  } finally {
    content.fill(0);
  }
}
