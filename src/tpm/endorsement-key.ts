import { createPublicKey, hash, type KeyObject } from 'node:crypto';
import { encodePem } from '../x509/pem.ts';
import { requireCheck } from '../x509/require-check.ts';
import { type EkTemplate, findEkTemplate } from './ek-templates.ts';
import { nameOf } from './names.ts';
import { type EccPublicArea, type PublicArea, parsePublic, type RsaPublicArea } from './public-area.ts';
import { spkiOfPublicArea } from './public-key.ts';
import { hasRocaFingerprint } from './roca.ts';

/** An endorsement key that is sound by itself; who vouches for it is another question. */
export interface EndorsementKey {
  readonly publicArea: PublicArea;
  readonly template: EkTemplate;
  readonly name: Uint8Array;
  /** Canonical SubjectPublicKeyInfo. */
  readonly spki: Uint8Array;
  readonly publicKey: KeyObject;
  /** SHA-256 of {@link spki}, lower-case hex: the last segment of the agent's ID. */
  readonly pubHash: string;
}

const MIN_RSA_BITS = 2048;

/**
 * Takes the TPM2B_PUBLIC of an endorsement key.
 *
 * @throws SpiffeError `TPM_DATA_INVALID` for bytes that are none, `ATTESTATION_DENIED` (A6, A7) for a key that will not do
 */
export function requireEndorsementKey(bytes: Uint8Array): EndorsementKey {
  const publicArea = parsePublic(bytes);
  const template = findEkTemplate(publicArea);
  requireCheck(
    'A6',
    template !== undefined,
    'the endorsement key was made from none of the TCG templates L-1, L-2 and H-1 to H-7',
  );
  if (publicArea.type === 'rsa') {
    requireSoundRsa(publicArea);
  } else {
    requireKnownCurve(publicArea);
  }
  const spki = spkiOfPublicArea(publicArea);
  const publicKey = findPublicKey(spki);
  requireCheck('A7', publicKey !== undefined, 'the endorsement key is no point on its curve');
  const pubHash = hash('sha256', spki);
  return { publicArea, template, name: nameOf(publicArea), spki, publicKey, pubHash };
}

function requireSoundRsa({ modulus, keyBits }: RsaPublicArea): void {
  const [first = 0] = modulus;
  const last = modulus.at(-1) ?? 0;
  const bits = first === 0 ? 0 : modulus.length * 8 - (Math.clz32(first) - 24);
  requireCheck(
    'A7',
    bits === keyBits && bits >= MIN_RSA_BITS,
    `the modulus of the endorsement key has ${bits} bits, its public area says ${keyBits}`,
  );
  requireCheck('A7', (last & 1) === 1, 'the modulus of the endorsement key is even');
  requireCheck(
    'A7',
    !hasRocaFingerprint(modulus),
    'the endorsement key can be factored (ROCA, CVE-2017-15361): update the TPM and have it make a new key',
  );
}

function requireKnownCurve({ curve }: EccPublicArea): void {
  requireCheck('A7', curve !== 'sm2', 'the endorsement key lies on the SM2 curve, P-256, P-384 and P-521 are allowed');
}

function findPublicKey(spki: Uint8Array): KeyObject | undefined {
  try {
    // As PEM: Node tries each object that it is given for a key of its own kinds, which takes longer than decoding.
    return createPublicKey(encodePem('PUBLIC KEY', spki));
  } catch {
    return undefined;
  }
}
