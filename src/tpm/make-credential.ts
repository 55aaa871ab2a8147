import {
  constants,
  createCipheriv,
  createECDH,
  createHmac,
  createSecretKey,
  type KeyObject,
  publicEncrypt,
  randomBytes,
} from 'node:crypto';
import { requireCheck } from '../x509/require-check.ts';
import { isStrongHash, type StrongHash, TPM_CURVES, TPM_HASHES } from './algorithms.ts';
import type { EndorsementKey } from './endorsement-key.ts';
import { ephemeralScalar, scalarEntropyBytes } from './ephemeral-scalar.ts';
import { kdfA, kdfE } from './kdf.ts';
import { encodeOaep } from './oaep.ts';
import { OPENSSL_CURVES } from './openssl-curves.ts';
import type { EccPublicArea } from './public-area.ts';
import { leftPad } from './public-key.ts';
import { concat, sized } from './tpm-writer.ts';

/** What TPM2_ActivateCredential takes. */
export interface Credential {
  /** TPM2B_ID_OBJECT. */
  readonly credentialBlob: Uint8Array;
  /** TPM2B_ENCRYPTED_SECRET. */
  readonly encryptedSecret: Uint8Array;
}

const LABEL = 'IDENTITY';
const MIN_SECRET_BYTES = 16;
const NONE = new Uint8Array(0);

/**
 * Wraps `secret` so that only the TPM with this endorsement key opens it, and only for the object that has `akName`.
 *
 * @param secret 16 bytes or more, at most as long as the digest of the endorsement key's nameAlg
 * @param entropy {@link credentialEntropyBytes} of random, all that the credential has; drawn here where absent
 * @throws SpiffeError `ATTESTATION_DENIED` (B15, B16)
 * @see Part 1, §24 (credential protection), §B.10.3 (RSA), §C.6.3 (ECC)
 */
export function makeCredential(
  ek: Pick<EndorsementKey, 'publicArea' | 'publicKey'>,
  akName: Uint8Array,
  secret: Uint8Array,
  entropy?: Uint8Array,
): Credential {
  const { nameAlg, symmetric } = ek.publicArea;
  requireCheck(
    'B15',
    isStrongHash(nameAlg) && symmetric?.algorithm === 'aes',
    'a credential needs an endorsement key that is a storage key with AES-CFB and SHA-256 or better',
  );
  const digestBits = TPM_HASHES[nameAlg].size * 8;
  requireCheck(
    'B16',
    secret.length >= MIN_SECRET_BYTES && secret.length * 8 <= digestBits,
    `the secret of a credential has ${secret.length} bytes, ${MIN_SECRET_BYTES} to ${digestBits / 8} are allowed`,
  );
  const random = entropy ?? randomBytes(credentialEntropyBytes(ek));
  if (random.length !== credentialEntropyBytes(ek)) throw new RangeError(`entropy of ${random.length} bytes`);
  const { seed, encryptedSecret } =
    ek.publicArea.type === 'rsa'
      ? rsaSeed(ek.publicKey, ek.publicArea.keyBits / 8, nameAlg, random)
      : eccSeed(ek.publicArea, nameAlg, ephemeralScalar(ek.publicArea.curve, random));
  // Keys as objects: of bytes Node makes an exception first, which takes longer than the work.
  const key = createSecretKey(kdfA(nameAlg, seed, 'STORAGE', akName, NONE, symmetric.keyBits));
  const cipher = createCipheriv(`aes-${symmetric.keyBits}-cfb`, key, new Uint8Array(16));
  const identity = concat(cipher.update(sized(secret)), cipher.final());
  const hmacKey = createSecretKey(kdfA(nameAlg, seed, 'INTEGRITY', NONE, NONE, digestBits));
  const integrity = createHmac(nameAlg, hmacKey).update(identity).update(akName).digest();
  return { credentialBlob: sized(sized(integrity), identity), encryptedSecret: sized(encryptedSecret) };
}

/** How much random a credential for this endorsement key takes. */
export function credentialEntropyBytes({ publicArea }: Pick<EndorsementKey, 'publicArea'>): number {
  return publicArea.type === 'rsa' ? 2 * TPM_HASHES[publicArea.nameAlg].size : scalarEntropyBytes(publicArea.curve);
}

interface WrappedSeed {
  readonly seed: Uint8Array;
  readonly encryptedSecret: Uint8Array;
}

/** The first half is the seed, the second OAEP's. */
function rsaSeed(publicKey: KeyObject, size: number, hash: StrongHash, random: Uint8Array): WrappedSeed {
  const seed = random.subarray(0, random.length / 2);
  const padded = encodeOaep({
    hash,
    label: Buffer.from(`${LABEL}\0`, 'ascii'),
    message: seed,
    seed: random.subarray(random.length / 2),
    size,
  });
  return { seed, encryptedSecret: publicEncrypt({ key: publicKey, padding: constants.RSA_NO_PADDING }, padded) };
}

function eccSeed(ek: EccPublicArea, hash: StrongHash, scalar: Uint8Array): WrappedSeed {
  const { size } = TPM_CURVES[ek.curve];
  const x = leftPad(ek.x, size);
  const ephemeral = createECDH(OPENSSL_CURVES[ek.curve]);
  ephemeral.setPrivateKey(scalar);
  const point = ephemeral.getPublicKey();
  const shared = ephemeral.computeSecret(Buffer.concat([Uint8Array.of(0x04), x, leftPad(ek.y, size)]));
  const ephemeralX = point.subarray(1, 1 + size);
  const seed = kdfE(hash, leftPad(shared, size), LABEL, ephemeralX, x, TPM_HASHES[hash].size * 8);
  return { seed, encryptedSecret: concat(sized(ephemeralX), sized(point.subarray(1 + size))) };
}
