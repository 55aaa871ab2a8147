import { constants, createCipheriv, createECDH, createHmac, publicEncrypt, randomBytes } from 'node:crypto';
import { requireCheck } from '../x509/require-check.ts';
import { isStrongHash, type StrongHash, TPM_CURVES, TPM_HASHES } from './algorithms.ts';
import type { EndorsementKey } from './endorsement-key.ts';
import { kdfA, kdfE } from './kdf.ts';
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
 * @throws SpiffeError `ATTESTATION_DENIED` (B15, B16)
 * @see Part 1, §24 (credential protection), §B.10.3 (RSA), §C.6.3 (ECC)
 */
export function makeCredential(
  ek: Pick<EndorsementKey, 'publicArea' | 'publicKey'>,
  akName: Uint8Array,
  secret: Uint8Array,
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
  const { seed, encryptedSecret } =
    ek.publicArea.type === 'rsa' ? rsaSeed(ek, nameAlg) : eccSeed(ek.publicArea, nameAlg);
  const key = kdfA(nameAlg, seed, 'STORAGE', akName, NONE, symmetric.keyBits);
  const cipher = createCipheriv(`aes-${symmetric.keyBits}-cfb`, key, new Uint8Array(16));
  const identity = concat(cipher.update(sized(secret)), cipher.final());
  const hmacKey = kdfA(nameAlg, seed, 'INTEGRITY', NONE, NONE, digestBits);
  const integrity = createHmac(nameAlg, hmacKey).update(identity).update(akName).digest();
  return { credentialBlob: sized(sized(integrity), identity), encryptedSecret: sized(encryptedSecret) };
}

interface WrappedSeed {
  readonly seed: Uint8Array;
  readonly encryptedSecret: Uint8Array;
}

function rsaSeed({ publicKey }: Pick<EndorsementKey, 'publicKey'>, hash: StrongHash): WrappedSeed {
  const seed = randomBytes(TPM_HASHES[hash].size);
  const options = {
    key: publicKey,
    padding: constants.RSA_PKCS1_OAEP_PADDING,
    oaepHash: hash,
    oaepLabel: Buffer.from(`${LABEL}\0`, 'ascii'),
  };
  return { seed, encryptedSecret: publicEncrypt(options, seed) };
}

function eccSeed(ek: EccPublicArea, hash: StrongHash): WrappedSeed {
  const { size } = TPM_CURVES[ek.curve];
  const x = leftPad(ek.x, size);
  const ephemeral = createECDH(OPENSSL_CURVES[ek.curve]);
  const point = ephemeral.generateKeys();
  const shared = ephemeral.computeSecret(Buffer.concat([Uint8Array.of(0x04), x, leftPad(ek.y, size)]));
  const ephemeralX = point.subarray(1, 1 + size);
  const seed = kdfE(hash, leftPad(shared, size), LABEL, ephemeralX, x, TPM_HASHES[hash].size * 8);
  return { seed, encryptedSecret: concat(sized(ephemeralX), sized(point.subarray(1 + size))) };
}
