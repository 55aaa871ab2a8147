import { isSpiffeError } from '../spiffe/error.ts';
import { AK_TEMPLATES } from '../tpm/ak-templates.ts';
import { isOfDevidTemplate } from '../tpm/devid-templates.ts';
import { findEkTemplate } from '../tpm/ek-templates.ts';
import { isOfKeyTemplate } from '../tpm/key-templates.ts';
import { isUsedAlike, type PublicArea, parsePublic } from '../tpm/public-area.ts';

/** The public area of an asymmetric key; undefined for an object of another kind. @param bytes TPM2B_PUBLIC */
export function findPublic(bytes: Uint8Array): PublicArea | undefined {
  try {
    return parsePublic(bytes);
  } catch (error) {
    if (isSpiffeError(error, 'TPM_DATA_INVALID')) return undefined;
    throw error;
  }
}

/** Whether an object is of a kind that processes of ours load. @param bytes TPM2B_PUBLIC */
export function isLoadedByUs(bytes: Uint8Array): boolean {
  const area = findPublic(bytes);
  return (
    area !== undefined &&
    (findEkTemplate(area) !== undefined || isAkOfOurs(area) || isOfKeyTemplate(area) || isOfDevidTemplate(area))
  );
}

function isAkOfOurs(area: PublicArea): boolean {
  return Object.values(AK_TEMPLATES).some((template) => isUsedAlike(area, template));
}
