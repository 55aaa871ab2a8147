import {
  type AttestationChallenge,
  type AttestationPayload,
  type AttestationResponse,
  decodeChallenge,
  encodePayload,
  encodeResponse,
} from '../../src/plugins/tpm/codec.ts';
import type { BootLog, LogChunk, LogRequest } from '../../src/plugins/tpm/log-codec.ts';
import type { SoftwareTpm } from '../../src/testing/software-tpm.ts';
import { qualifyingData } from '../../src/tpm/qualifying-data.ts';

/** What a node has of its logs. */
export type ProverLogs = Readonly<Partial<Record<BootLog, Uint8Array>>>;

/** The agent's half of TPM attestation over a {@link SoftwareTpm}. */
export class SoftwareProver {
  readonly #logs: ProverLogs;
  readonly #tpm: SoftwareTpm;
  readonly #csrPublicKey: Uint8Array;
  readonly #ekCertificates: readonly Uint8Array[];

  constructor(
    tpm: SoftwareTpm,
    csrPublicKey: Uint8Array,
    ekCertificates: readonly Uint8Array[],
    logs: ProverLogs = {},
  ) {
    this.#logs = logs;
    this.#tpm = tpm;
    this.#csrPublicKey = csrPublicKey;
    this.#ekCertificates = ekCertificates;
  }

  payload(): AttestationPayload {
    return { ekPublic: this.#tpm.ekPublic, akPublic: this.#tpm.akPublic, ekCertificates: this.#ekCertificates };
  }

  encodedPayload(): Uint8Array {
    return encodePayload(this.payload());
  }

  qualifyingData(challenge: AttestationChallenge): Uint8Array {
    return qualifyingData({
      nonce: challenge.nonce,
      csrPublicKey: this.#csrPublicKey,
      ekName: this.#tpm.ekName,
      akName: this.#tpm.akName,
    });
  }

  response(challenge: AttestationChallenge): AttestationResponse {
    return {
      secret: this.#tpm.activateCredential(challenge.credentialBlob, challenge.encryptedSecret),
      ...this.#tpm.quote(this.qualifyingData(challenge), challenge.pcrs),
    };
  }

  answer(challenge: Uint8Array): Uint8Array {
    return encodeResponse(this.response(decodeChallenge(challenge)));
  }

  /** A part of a log, as much as was asked for. */
  chunk({ log, offset, length }: LogRequest): LogChunk {
    const bytes = this.#logs[log];
    if (bytes === undefined) return { log, offset, state: 'absent', bytes: new Uint8Array(0) };
    const state = offset + length > bytes.length ? 'end' : 'more';
    return { log, offset, state, bytes: bytes.subarray(offset, offset + length) };
  }
}
