import { constants, type KeyObject, verify } from 'node:crypto';
import { derInvalid, parseDer, Tag } from '../x509/der.ts';
import type { KeyType } from '../x509/signer.ts';

interface RsaAlgorithm {
  readonly family: 'rsa' | 'rsa-pss';
  readonly hash: HashName;
}
interface EcAlgorithm {
  readonly family: 'ec';
  readonly hash: HashName;
  /** OpenSSL's name. */
  readonly curve: string;
  /** Bytes of r, and of s. */
  readonly coordinateBytes: number;
}
type HashName = 'sha256' | 'sha384' | 'sha512';

/** Every algorithm that a JWT-SVID may have. Source: JWT-SVID §2.1; RFC 7518 §3.3, §3.4, §3.5. */
export const JOSE_ALGORITHMS = {
  RS256: { family: 'rsa', hash: 'sha256' },
  RS384: { family: 'rsa', hash: 'sha384' },
  RS512: { family: 'rsa', hash: 'sha512' },
  ES256: { family: 'ec', hash: 'sha256', curve: 'prime256v1', coordinateBytes: 32 },
  ES384: { family: 'ec', hash: 'sha384', curve: 'secp384r1', coordinateBytes: 48 },
  ES512: { family: 'ec', hash: 'sha512', curve: 'secp521r1', coordinateBytes: 66 },
  PS256: { family: 'rsa-pss', hash: 'sha256' },
  PS384: { family: 'rsa-pss', hash: 'sha384' },
  PS512: { family: 'rsa-pss', hash: 'sha512' },
} as const satisfies Readonly<Record<string, RsaAlgorithm | EcAlgorithm>>;
export type JoseAlgorithm = keyof typeof JOSE_ALGORITHMS;

export function isJoseAlgorithm(name: unknown): name is JoseAlgorithm {
  return typeof name === 'string' && Object.hasOwn(JOSE_ALGORITHMS, name);
}

/** The algorithm that a key of a key manager signs with. */
export function joseAlgorithmOf(keyType: KeyType): 'ES256' | 'ES384' | 'RS256' {
  if (keyType === 'ec-p256') return 'ES256';
  return keyType === 'ec-p384' ? 'ES384' : 'RS256';
}

/** Tells whether a key is of the kind that an algorithm wants. */
export function isKeyFor(algorithm: JoseAlgorithm, key: KeyObject): boolean {
  const wanted: RsaAlgorithm | EcAlgorithm = JOSE_ALGORITHMS[algorithm];
  if (wanted.family !== 'ec') return key.asymmetricKeyType === 'rsa';
  return key.asymmetricKeyType === 'ec' && key.asymmetricKeyDetails?.namedCurve === wanted.curve;
}

/** @param key of the kind that {@link isKeyFor} tells */
export function verifyJose(algorithm: JoseAlgorithm, key: KeyObject, data: Uint8Array, signature: Uint8Array): boolean {
  const { hash, ...how }: RsaAlgorithm | EcAlgorithm = JOSE_ALGORITHMS[algorithm];
  switch (how.family) {
    case 'ec':
      if (signature.length !== 2 * how.coordinateBytes) return false;
      return verify(hash, data, { key, dsaEncoding: 'ieee-p1363' }, signature);
    case 'rsa':
      return verify(hash, data, { key, padding: constants.RSA_PKCS1_PADDING }, signature);
    case 'rsa-pss': // RFC 7518 §3.5: the salt is as long as the hash
      return verify(
        hash,
        data,
        { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST },
        signature,
      );
  }
}

/**
 * ECDSA-Sig-Value, DER → r‖s, each of fixed length; a signature of RSA stays as it is.
 *
 * @throws SpiffeError `DER_INVALID`
 * @see RFC 7518 §3.4; RFC 3279 §2.2.3
 */
export function toJoseSignature(algorithm: JoseAlgorithm, signature: Uint8Array): Uint8Array {
  const { family, ...rest }: RsaAlgorithm | EcAlgorithm = JOSE_ALGORITHMS[algorithm];
  if (family !== 'ec' || !('coordinateBytes' in rest)) return signature;
  const { coordinateBytes } = rest;
  return parseDer(signature, Tag.sequence, 'ECDSA-Sig-Value', (reader) => {
    const joined = Buffer.alloc(2 * coordinateBytes);
    for (const [index, name] of ['r', 's'].entries()) {
      const magnitude = withoutLeadingZeros(reader.readInteger(name));
      if (magnitude.length > coordinateBytes)
        derInvalid(`${name} has ${magnitude.length} octets, over ${coordinateBytes}`);
      joined.set(magnitude, (index + 1) * coordinateBytes - magnitude.length);
    }
    return new Uint8Array(joined);
  });
}

function withoutLeadingZeros(integer: Uint8Array): Uint8Array {
  const start = integer.findIndex((byte) => byte !== 0);
  return start === -1 ? integer.subarray(integer.length) : integer.subarray(start);
}
