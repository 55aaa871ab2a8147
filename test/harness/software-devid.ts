import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import type { DevidChallenge, DevidPayload, DevidResponse } from '../../src/plugins/tpm-devid/messages.ts';
import type { SoftwareTpm } from '../../src/testing/software-tpm.ts';
import { nameOf } from '../../src/tpm/names.ts';
import { objectAttributes } from '../../src/tpm/object-attributes.ts';
import { encodePublicArea, type PublicArea } from '../../src/tpm/public-area.ts';
import { spkiOfPublicArea } from '../../src/tpm/public-key.ts';
import { qualifyingData } from '../../src/tpm/qualifying-data.ts';
import { sized } from '../../src/tpm/tpm-writer.ts';

const ATTRIBUTES = objectAttributes('fixedTPM', 'fixedParent', 'sensitiveDataOrigin', 'userWithAuth', 'sign');
const NONE = new Uint8Array(0);

/** The agent's half of DevID attestation over a {@link SoftwareTpm}: as an agent of SPIRE without a CSR's key, as one of ours with it. */
export class SoftwareDevid {
  readonly tpm: SoftwareTpm;
  readonly area: PublicArea;
  readonly #key: KeyObject;

  /** @param fields of the DevID key's public area that differ from what they should be */
  constructor(
    tpm: SoftwareTpm,
    { type = 'ecc', fields = {} }: { type?: 'ecc' | 'rsa'; fields?: Partial<PublicArea> } = {},
  ) {
    this.tpm = tpm;
    const base = { nameAlg: 'sha256', attributes: ATTRIBUTES, authPolicy: NONE, symmetric: undefined } as const;
    const { privateKey } =
      type === 'ecc'
        ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
        : generateKeyPairSync('rsa', { modulusLength: 2048 });
    this.#key = privateKey;
    const jwk = privateKey.export({ format: 'jwk' });
    const bytesOf = (text = '') => Uint8Array.from(Buffer.from(text, 'base64url'));
    const area: PublicArea =
      type === 'ecc'
        ? {
            ...base,
            type,
            scheme: { algorithm: 'ecdsa', hash: 'sha256' },
            curve: 'p256',
            x: bytesOf(jwk.x),
            y: bytesOf(jwk.y),
          }
        : {
            ...base,
            type,
            scheme: { algorithm: 'rsassa', hash: 'sha256' },
            keyBits: 2048,
            exponent: 0,
            modulus: bytesOf(jwk.n),
          };
    this.area = { ...area, ...fields } as PublicArea;
  }

  get spki(): Uint8Array {
    return spkiOfPublicArea(this.area);
  }

  get name(): Uint8Array {
    return nameOf(this.area);
  }

  payload(devidCertificates: DevidPayload['devidCertificates'], ekCertificate: Uint8Array): DevidPayload {
    const { tpm } = this;
    return {
      devidCertificates,
      devidPublic: encodePublicArea(this.area),
      ekCertificate,
      ekPublic: encodePublicArea(tpm.ek),
      akPublic: encodePublicArea(tpm.ak),
      certification: tpm.certify(this.name, NONE),
    };
  }

  sign(message: Uint8Array): Uint8Array {
    return new Uint8Array(sign('sha256', message, this.#key));
  }

  response(
    { devidNonce, credentialBlob, encryptedSecret, bindingNonce }: DevidChallenge,
    csrKey?: Uint8Array,
  ): DevidResponse {
    const { tpm } = this;
    const response = {
      devidSignature: this.sign(devidNonce),
      secret: tpm.activateCredential(sized(credentialBlob), sized(encryptedSecret)),
    };
    if (bindingNonce === undefined || csrKey === undefined) return response;
    const binding = { nonce: bindingNonce, csrPublicKey: csrKey, ekName: tpm.ekName, akName: tpm.akName };
    return { ...response, boundCertification: tpm.certify(this.name, qualifyingData(binding, 'tpm_devid')) };
  }
}
