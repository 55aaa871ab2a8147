import { SpiffeError } from '../../spiffe/error.ts';
import { hashOfId, isStrongHash, TPM_HASHES } from '../../tpm/algorithms.ts';
import type { KeyBindingEvidence } from '../../tpm/key-binding.ts';
import { MAX_PCR_INDEX, type PcrRequest } from '../../tpm/pcr-selection.ts';
import { requireCheck } from '../../x509/require-check.ts';
import { BOOT_LOGS, type BootLog, bootLogs } from './log-codec.ts';
import { MessageReader, MessageWriter } from './message.ts';

export type { PcrRequest };

/** Agent to server, first: what the TPM says it is. */
export interface AttestationPayload {
  /** TPM2B_PUBLIC. */
  readonly ekPublic: Uint8Array;
  /** TPM2B_PUBLIC. */
  readonly akPublic: Uint8Array;
  /** Exact DER: that of the endorsement key, and any intermediate ones that NV holds, in any order. None is allowed. */
  readonly ekCertificates: readonly Uint8Array[];
}

/** Server to agent. */
export interface AttestationChallenge {
  /** TPM2B_ID_OBJECT: the first argument of TPM2_ActivateCredential. */
  readonly credentialBlob: Uint8Array;
  /** TPM2B_ENCRYPTED_SECRET: the second. */
  readonly encryptedSecret: Uint8Array;
  /** Goes into the quote's qualifying data: src/tpm/qualifying-data.ts. */
  readonly nonce: Uint8Array;
  readonly pcrs: PcrRequest;
  /** What the server will ask for once it has the quote; none by default. */
  readonly logs?: readonly BootLog[];
}

/** Agent to server, last. */
export interface AttestationResponse {
  /** certInfo of TPM2_ActivateCredential, without its length. */
  readonly secret: Uint8Array;
  /** TPMS_ATTEST, the bytes that are signed, without the TPM2B length. */
  readonly quote: Uint8Array;
  /** TPMT_SIGNATURE. */
  readonly signature: Uint8Array;
  /** One value per requested PCR, in ascending order of index. */
  readonly pcrValues: readonly Uint8Array[];
  /** That the key of the CSR lives in this TPM, where the agent says so. */
  readonly keyBinding?: KeyBindingEvidence | undefined;
}

/** Larger than any honest message, checked before one is parsed. */
export const MAX_MESSAGE_BYTES = { payload: 65_536, challenge: 4096, response: 8192 } as const;
const MAX_CERTIFICATES = 8;
const MAX_CERTIFICATE_BYTES = 8192;
const MAX_PUBLIC_BYTES = 1026;
const NONCE_BYTES = { min: 16, max: 64 };
const ALL_LOGS = Object.values(BOOT_LOGS).reduce((sum, bit) => sum | bit, 0);

export function encodePayload(payload: AttestationPayload): Uint8Array {
  return new MessageWriter('payload')
    .field(payload.ekPublic)
    .field(payload.akPublic)
    .list(payload.ekCertificates)
    .finish();
}

/** @throws SpiffeError `TPM_DATA_INVALID`; `ATTESTATION_DENIED` when larger than {@link MAX_MESSAGE_BYTES} */
export function decodePayload(bytes: Uint8Array): AttestationPayload {
  requireCheck(
    'F42',
    bytes.length <= MAX_MESSAGE_BYTES.payload,
    `the payload has ${bytes.length} bytes, at most ${MAX_MESSAGE_BYTES.payload} are read`,
  );
  const reader = new MessageReader(bytes, 'payload');
  const ekPublic = reader.field('the EK public area', { max: MAX_PUBLIC_BYTES });
  const akPublic = reader.field('the AK public area', { max: MAX_PUBLIC_BYTES });
  const ekCertificates = reader.list('EK certificates', MAX_CERTIFICATES, { max: MAX_CERTIFICATE_BYTES });
  reader.end();
  return { ekPublic, akPublic, ekCertificates };
}

/** Of the second version only where logs are wanted, so that an agent which knows none of them can answer all the others. */
export function encodeChallenge({ logs = [], ...challenge }: AttestationChallenge): Uint8Array {
  const writer = new MessageWriter('challenge', logs.length === 0 ? 1 : 2)
    .field(challenge.credentialBlob)
    .field(challenge.encryptedSecret)
    .field(challenge.nonce)
    .u8(TPM_HASHES[challenge.pcrs.bank].id)
    .field(Uint8Array.from(challenge.pcrs.indices));
  if (logs.length > 0) writer.u8(logs.reduce((bits, log) => bits | BOOT_LOGS[log], 0));
  return writer.finish();
}

/** @throws SpiffeError `TPM_DATA_INVALID` */
export function decodeChallenge(bytes: Uint8Array): AttestationChallenge {
  if (bytes.length > MAX_MESSAGE_BYTES.challenge) {
    throw new SpiffeError('TPM_DATA_INVALID', `the tpm challenge has ${bytes.length} bytes, too many`);
  }
  const reader = new MessageReader(bytes, 'challenge', [1, 2]);
  const credentialBlob = reader.field('the credential blob', { max: 256 });
  const encryptedSecret = reader.field('the encrypted secret', { max: 1024 });
  const nonce = reader.field('the nonce', NONCE_BYTES);
  const bank = hashOfId(reader.u8('the PCR bank'));
  const indices = [...reader.field('the PCR indices', { max: MAX_PCR_INDEX + 1 })];
  const logs = reader.version === 1 ? [] : readLogs(reader);
  reader.end();
  if (!isStrongHash(bank)) {
    throw new SpiffeError(
      'TPM_DATA_INVALID',
      `the tpm challenge asks for the ${bank} bank, SHA-256 or better is quoted`,
    );
  }
  if (indices.some((index, position) => index > MAX_PCR_INDEX || index <= (indices[position - 1] ?? -1))) {
    throw new SpiffeError(
      'TPM_DATA_INVALID',
      `PCR indices ${indices.join(', ')} are not ascending numbers from 0 to 23`,
    );
  }
  return { credentialBlob, encryptedSecret, nonce, pcrs: { bank, indices }, logs };
}

function readLogs(reader: MessageReader): readonly BootLog[] {
  const bits = reader.u8('the logs that are wanted');
  if (bits === 0 || (bits & ~ALL_LOGS) !== 0) {
    throw new SpiffeError(
      'TPM_DATA_INVALID',
      `the server wants logs that are not known here (${bits}): update the agent`,
    );
  }
  return [...bootLogs()].filter((log) => (bits & BOOT_LOGS[log]) !== 0);
}

/** Of the second version only with a certified key. */
export function encodeResponse(response: AttestationResponse): Uint8Array {
  const { keyBinding } = response;
  const writer = new MessageWriter('response', keyBinding === undefined ? 1 : 2)
    .field(response.secret)
    .field(response.quote)
    .field(response.signature)
    .list(response.pcrValues);
  if (keyBinding !== undefined) {
    writer.field(keyBinding.publicArea).field(keyBinding.attest).field(keyBinding.signature);
  }
  return writer.finish();
}

/** @throws SpiffeError `TPM_DATA_INVALID`; `ATTESTATION_DENIED` when larger than {@link MAX_MESSAGE_BYTES} */
export function decodeResponse(bytes: Uint8Array): AttestationResponse {
  requireCheck(
    'F42',
    bytes.length <= MAX_MESSAGE_BYTES.response,
    `the response has ${bytes.length} bytes, at most ${MAX_MESSAGE_BYTES.response} are read`,
  );
  const reader = new MessageReader(bytes, 'response', [1, 2]);
  const secret = reader.field('the activated secret', { max: 64 });
  const quote = reader.field('the quote', { max: 1024 });
  const signature = reader.field('the signature', { max: 1024 });
  const pcrValues = reader.list('PCR values', MAX_PCR_INDEX + 1, { max: 64 });
  const keyBinding = reader.version === 1 ? undefined : readKeyBinding(reader);
  reader.end();
  return { secret, quote, signature, pcrValues, keyBinding };
}

function readKeyBinding(reader: MessageReader): KeyBindingEvidence {
  const publicArea = reader.field('the certified key', { max: MAX_PUBLIC_BYTES });
  const attest = reader.field('the certification', { max: 1024 });
  const signature = reader.field('the signature of the certification', { max: 1024 });
  return { publicArea, attest, signature };
}
