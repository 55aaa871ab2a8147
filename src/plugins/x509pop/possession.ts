import { constants, type KeyObject, sign, verify } from 'node:crypto';
import { SpiffeError } from '../../plugin-sdk/index.ts';
import { NONCE_BYTES, type Proof, type ProofKind } from './messages.ts';

const { RSA_PKCS1_PSS_PADDING, RSA_PSS_SALTLEN_AUTO, RSA_PSS_SALTLEN_MAX_SIGN } = constants;

/** @throws SpiffeError `ATTESTATION_DENIED` for a key of which SPIRE’s wire has no proof */
export function proofKindOf({ asymmetricKeyType: type }: KeyObject): ProofKind {
  if (type === 'rsa') return 'rsa';
  if (type === 'ec') return 'ecdsa';
  throw new SpiffeError(
    'ATTESTATION_DENIED',
    `x509pop has no proof for a key of type ${type}: use a certificate for an RSA or an ECDSA key`,
  );
}

/** Proves that the key is here. Source: the SHA-256 of both nonces is signed, RSA by PSS with the longest salt. */
export function provePossession(key: KeyObject, challengeNonce: Uint8Array, nonce: Uint8Array): Proof {
  const nonces = bothNonces(challengeNonce, nonce);
  if (proofKindOf(key) === 'rsa') {
    const padding = { padding: RSA_PKCS1_PSS_PADDING, saltLength: RSA_PSS_SALTLEN_MAX_SIGN };
    return { kind: 'rsa', nonce, signature: new Uint8Array(sign('sha256', nonces, { key, ...padding })) };
  }
  const signature = sign('sha256', nonces, { key, dsaEncoding: 'ieee-p1363' });
  const half = signature.length / 2;
  return { kind: 'ecdsa', nonce, r: minimal(signature.subarray(0, half)), s: minimal(signature.subarray(half)) };
}

/** @throws SpiffeError `ATTESTATION_DENIED` */
export function requirePossession(key: KeyObject, challengeNonce: Uint8Array, proof: Proof): void {
  const nonces = bothNonces(challengeNonce, proof.nonce);
  if (isProof(key, nonces, proof)) return;
  throw new SpiffeError(
    'ATTESTATION_DENIED',
    'the answer is not signed by the key of the certificate: the node does not have it',
  );
}

function isProof(key: KeyObject, nonces: Uint8Array, proof: Proof): boolean {
  if (proof.kind === 'rsa') {
    const padding = { padding: RSA_PKCS1_PSS_PADDING, saltLength: RSA_PSS_SALTLEN_AUTO };
    return verify('sha256', nonces, { key, ...padding }, proof.signature);
  }
  const size = coordinateBytes(key);
  const signature = Buffer.concat([padded(proof.r, size), padded(proof.s, size)]);
  return signature.length === 2 * size && verify('sha256', nonces, { key, dsaEncoding: 'ieee-p1363' }, signature);
}

const CURVE_BYTES: Readonly<Record<string, number>> = { prime256v1: 32, secp384r1: 48, secp521r1: 66 };

function coordinateBytes({ asymmetricKeyDetails: details }: KeyObject): number {
  const curve = details?.namedCurve ?? '';
  const bytes = CURVE_BYTES[curve];
  if (bytes !== undefined) return bytes;
  throw new SpiffeError('ATTESTATION_DENIED', `x509pop takes keys on P-256, P-384 and P-521, not on "${curve}"`);
}

function bothNonces(challenge: Uint8Array, response: Uint8Array): Uint8Array {
  for (const [nonce, whose] of [
    [challenge, 'challenge'],
    [response, 'answer'],
  ] as const) {
    if (nonce.length === NONCE_BYTES) continue;
    throw new SpiffeError(
      'ARGUMENT_INVALID',
      `the nonce of the ${whose} has ${nonce.length} bytes, it has to have ${NONCE_BYTES}`,
    );
  }
  return Buffer.concat([challenge, response]);
}

function padded(integer: Uint8Array, size: number): Uint8Array {
  return integer.length >= size ? integer : Buffer.concat([Buffer.alloc(size - integer.length), integer]);
}

function minimal(integer: Uint8Array): Uint8Array {
  const first = integer.findIndex((byte) => byte !== 0);
  return new Uint8Array(first === -1 ? [] : integer.subarray(first));
}
