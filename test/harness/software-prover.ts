import {
  type AttestationChallenge,
  type AttestationPayload,
  type AttestationResponse,
  decodeChallenge,
  encodePayload,
  encodeResponse,
} from '../../src/plugins/tpm/codec.ts';
import type { SoftwareTpm } from '../../src/testing/software-tpm.ts';
import { qualifyingData } from '../../src/tpm/qualifying-data.ts';

/** The agent's half of TPM attestation over a {@link SoftwareTpm}. */
export class SoftwareProver {
  readonly #tpm: SoftwareTpm;
  readonly #csrPublicKey: Uint8Array;
  readonly #ekCertificates: readonly Uint8Array[];

  constructor(tpm: SoftwareTpm, csrPublicKey: Uint8Array, ekCertificates: readonly Uint8Array[]) {
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
}
