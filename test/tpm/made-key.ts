import { KEY_TEMPLATES } from '../../src/tpm/key-templates.ts';
import type { EccPublicArea } from '../../src/tpm/public-area.ts';

const COORDINATE_BYTES = 32;

/**
 * The public area that the key manager's TPM gives a P-256 key.
 *
 * @param spki SubjectPublicKeyInfo (DER) with an uncompressed point
 * @param changes of the public area
 */
export function madeKeyArea(spki: Uint8Array, changes: Partial<EccPublicArea> = {}): EccPublicArea {
  const template = KEY_TEMPLATES['ec-p256'];
  if (template.type !== 'ecc') throw new RangeError('the template is not of an EC key');
  const [x, y] = [spki.slice(-2 * COORDINATE_BYTES, -COORDINATE_BYTES), spki.slice(-COORDINATE_BYTES)];
  return { ...template, x, y, ...changes };
}
