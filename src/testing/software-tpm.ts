import {
  constants,
  createDecipheriv,
  createECDH,
  createHash,
  createHmac,
  generateKeyPairSync,
  type KeyObject,
  privateDecrypt,
  sign,
  timingSafeEqual,
} from 'node:crypto';
import { AK_TEMPLATES, type AkTemplateName } from '../tpm/ak-templates.ts';
import { isStrongHash, TPM_CURVES, TPM_HASHES, type TpmHash } from '../tpm/algorithms.ts';
import {
  type CertifyAttest,
  type ClockInfo,
  encodeCertifyAttest,
  encodeQuoteAttest,
  type QuoteAttest,
} from '../tpm/attest.ts';
import { EK_TEMPLATES, type EkTemplateName } from '../tpm/ek-templates.ts';
import { kdfA, kdfE } from '../tpm/kdf.ts';
import { nameOf, qualifiedNameOfAk } from '../tpm/names.ts';
import { OPENSSL_CURVES } from '../tpm/openssl-curves.ts';
import type { PcrRequest } from '../tpm/pcr-selection.ts';
import { encodePublic, type PublicArea } from '../tpm/public-area.ts';
import { spkiOfPublicArea } from '../tpm/public-key.ts';
import { encodeSignature } from '../tpm/signature.ts';
import { TpmReader } from '../tpm/tpm-reader.ts';
import { concat } from '../tpm/tpm-writer.ts';

/** Everything that a dishonest TPM may get wrong; by default it is honest. */
export interface SoftwareTpmOptions {
  readonly ek?: EkTemplateName;
  readonly ak?: AkTemplateName;
  /** Fields of the AK's public area that differ from the template. */
  readonly akFields?: Partial<PublicArea>;
  readonly clockInfo?: Partial<ClockInfo>;
}

export interface SoftwareQuote {
  readonly quote: Uint8Array;
  readonly signature: Uint8Array;
  readonly pcrValues: readonly Uint8Array[];
}

export interface SoftwareCertification {
  readonly attest: Uint8Array;
  readonly signature: Uint8Array;
}

interface HeldKey {
  readonly area: PublicArea;
  readonly privateKey: KeyObject;
}

const NONE = new Uint8Array(0);
const NO_SCHEME: { readonly algorithm: undefined; readonly hash?: TpmHash } = { algorithm: undefined };
const LABEL = 'IDENTITY';

/**
 * The part of a TPM that attestation needs, with EK and AK as OpenSSL keys: for driving the server's half without a TPM,
 * and for measuring it.
 */
export class SoftwareTpm {
  readonly ek: PublicArea;
  readonly ak: PublicArea;
  /** Canonical SubjectPublicKeyInfo of the EK. */
  readonly ekSpki: Uint8Array;
  readonly firmwareVersion = 0x2024_0102_0003_0004n;
  readonly clockInfo: ClockInfo;
  readonly #ekKey: KeyObject;
  readonly #akKey: KeyObject;
  readonly #pcrs = new Map<string, Uint8Array>();

  constructor({ ek = 'L-2', ak = 'ecc-p256', akFields = {}, clockInfo = {} }: SoftwareTpmOptions = {}) {
    const ekTemplate = EK_TEMPLATES.find(({ name }) => name === ek);
    if (ekTemplate === undefined) {
      throw new RangeError(`no EK template ${ek}`);
    }
    const held = holdKey(ekTemplate.publicArea);
    this.ek = held.area;
    this.#ekKey = held.privateKey;
    const heldAk = holdKey({ ...AK_TEMPLATES[ak], ...akFields } as PublicArea);
    this.ak = heldAk.area;
    this.#akKey = heldAk.privateKey;
    this.ekSpki = spkiOfPublicArea(this.ek);
    this.clockInfo = { clock: 123_456n, resetCount: 3, restartCount: 1, safe: true, ...clockInfo };
    for (const index of [0, 1, 2, 3, 4, 5, 6, 7]) {
      this.setPcr('sha256', index, createHash('sha256').update(`firmware ${index}`).digest());
    }
  }

  get ekPublic(): Uint8Array {
    return encodePublic(this.ek);
  }

  get akPublic(): Uint8Array {
    return encodePublic(this.ak);
  }

  get akName(): Uint8Array {
    return nameOf(this.ak);
  }

  get ekName(): Uint8Array {
    return nameOf(this.ek);
  }

  setPcr(bank: PcrRequest['bank'], index: number, value: Uint8Array): void {
    this.#pcrs.set(`${bank}:${index}`, value);
  }

  readPcr(bank: PcrRequest['bank'], index: number): Uint8Array {
    return this.#pcrs.get(`${bank}:${index}`) ?? new Uint8Array(TPM_HASHES[bank].size);
  }

  /** TPM2_ActivateCredential for the AK. Source: TPM 2.0 Library, Part 1, §24. */
  activateCredential(credentialBlob: Uint8Array, encryptedSecret: Uint8Array): Uint8Array {
    const { nameAlg, symmetric } = this.ek;
    if (!isStrongHash(nameAlg) || symmetric === undefined) {
      throw new RangeError('the endorsement key is no storage key');
    }
    const seed = this.#openSeed(new TpmReader(encryptedSecret, 'TPM2B_ENCRYPTED_SECRET').sized(1024));
    const blob = new TpmReader(credentialBlob, 'TPM2B_ID_OBJECT');
    blob.u16();
    const integrity = blob.sized(64);
    const identity = blob.take(blob.remaining);
    const hmacKey = kdfA(nameAlg, seed, 'INTEGRITY', NONE, NONE, TPM_HASHES[nameAlg].size * 8);
    if (!timingSafeEqual(createHmac(nameAlg, hmacKey).update(identity).update(this.akName).digest(), integrity)) {
      throw new RangeError('TPM_RC_INTEGRITY');
    }
    const key = kdfA(nameAlg, seed, 'STORAGE', this.akName, NONE, symmetric.keyBits);
    const decipher = createDecipheriv(`aes-${symmetric.keyBits}-cfb`, key, new Uint8Array(16));
    return new TpmReader(concat(decipher.update(identity), decipher.final()), 'TPM2B_DIGEST').sized(64);
  }

  /**
   * TPM2_Quote with the AK.
   *
   * @param changes what the quote says wrongly, though with a good signature
   * @param changeBytes the same for what {@link QuoteAttest} cannot say
   */
  quote(
    qualifyingData: Uint8Array,
    pcrs: PcrRequest,
    changes: Partial<QuoteAttest> = {},
    changeBytes: (attest: Uint8Array) => Uint8Array = (attest) => attest,
  ): SoftwareQuote {
    const pcrValues = pcrs.indices.map((index) => this.readPcr(pcrs.bank, index));
    const hash = this.ak.scheme?.hash ?? 'sha256';
    const quote = changeBytes(
      encodeQuoteAttest({
        qualifiedSigner: qualifiedNameOfAk(this.ek, this.ak),
        extraData: qualifyingData,
        clockInfo: this.clockInfo,
        firmwareVersion: this.firmwareVersion,
        pcrSelections: [pcrs],
        pcrDigest: createHash(hash)
          .update(concat(...pcrValues))
          .digest(),
        ...changes,
      }),
    );
    return { quote, signature: this.signWithAk(quote), pcrValues };
  }

  /**
   * TPM2_Certify of a key by the AK.
   *
   * @param name of the key
   * @param changes and `changeBytes` as for {@link quote}
   */
  certify(
    name: Uint8Array,
    qualifyingData: Uint8Array,
    changes: Partial<CertifyAttest> = {},
    changeBytes: (attest: Uint8Array) => Uint8Array = (attest) => attest,
  ): SoftwareCertification {
    const attest = changeBytes(
      encodeCertifyAttest({
        qualifiedSigner: qualifiedNameOfAk(this.ek, this.ak),
        extraData: qualifyingData,
        clockInfo: this.clockInfo,
        firmwareVersion: this.firmwareVersion,
        name,
        qualifiedName: name, // that of a key whose parent nobody else knows
        ...changes,
      }),
    );
    return { attest, signature: this.signWithAk(attest) };
  }

  /** TPMT_SIGNATURE by the AK's scheme, or by another that its key can do. */
  signWithAk(message: Uint8Array, { algorithm: scheme, hash = 'sha256' } = this.ak.scheme ?? NO_SCHEME): Uint8Array {
    const key = this.#akKey;
    switch (scheme) {
      case 'ecdsa': {
        const pair = sign(hash, message, { key, dsaEncoding: 'ieee-p1363' });
        const half = pair.length / 2;
        return encodeSignature({ scheme, hash, r: pair.subarray(0, half), s: pair.subarray(half) });
      }
      case 'rsassa':
        return encodeSignature({ scheme, hash, signature: sign(hash, message, key) });
      case 'rsapss': {
        const options = { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST };
        return encodeSignature({ scheme, hash, signature: sign(hash, message, options) });
      }
      default:
        throw new RangeError(`the attestation key does not sign: scheme ${scheme ?? 'null'}`);
    }
  }

  #openSeed(encrypted: Uint8Array): Uint8Array {
    const { ek } = this;
    if (!isStrongHash(ek.nameAlg)) {
      throw new RangeError(`an endorsement key with ${ek.nameAlg}`);
    }
    if (ek.type === 'rsa') {
      const oaepLabel = Buffer.from(`${LABEL}\0`, 'ascii');
      const padding = constants.RSA_PKCS1_OAEP_PADDING;
      return privateDecrypt({ key: this.#ekKey, padding, oaepHash: ek.nameAlg, oaepLabel }, encrypted);
    }
    const { size } = TPM_CURVES[ek.curve];
    const point = new TpmReader(encrypted, 'TPMS_ECC_POINT');
    const x = point.sized(size);
    const y = point.sized(size);
    point.end();
    const agreement = createECDH(OPENSSL_CURVES[ek.curve]);
    agreement.setPrivateKey(Buffer.from(String(this.#ekKey.export({ format: 'jwk' }).d), 'base64url'));
    const shared = agreement.computeSecret(concat(Uint8Array.of(0x04), x, y));
    return kdfE(ek.nameAlg, shared, LABEL, x, ek.x, TPM_HASHES[ek.nameAlg].size * 8);
  }
}

function holdKey(template: PublicArea): HeldKey {
  if (template.type === 'rsa') {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: template.keyBits });
    return { area: { ...template, modulus: bytesOf(privateKey, 'n') }, privateKey };
  }
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: OPENSSL_CURVES[template.curve] });
  return { area: { ...template, x: bytesOf(privateKey, 'x'), y: bytesOf(privateKey, 'y') }, privateKey };
}

function bytesOf(key: KeyObject, field: 'n' | 'x' | 'y'): Uint8Array {
  return Uint8Array.from(Buffer.from(String(key.export({ format: 'jwk' })[field]), 'base64url'));
}
