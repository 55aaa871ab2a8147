import { createHash } from 'node:crypto';
import { TPM_HASHES, type TpmHash } from './algorithms.ts';
import { encodePublicArea, type PublicArea } from './public-area.ts';
import { concat, u16, u32 } from './tpm-writer.ts';

/** TPM_RH_ENDORSEMENT: Part 2, §7.4. */
const ENDORSEMENT_HIERARCHY = 0x4000000b;

/** An object's Name, nameAlg ‖ H(TPMT_PUBLIC): Part 1, §16. */
export function nameOf(area: PublicArea): Uint8Array {
  return digestAsName(area.nameAlg, encodePublicArea(area));
}

/** Qualified Name of a primary key of the endorsement hierarchy: Part 1, §26.5. */
export function qualifiedNameOfEk(ek: PublicArea): Uint8Array {
  return digestAsName(ek.nameAlg, concat(u32(ENDORSEMENT_HIERARCHY), nameOf(ek)));
}

/** Qualified Name of a key whose parent is the endorsement key. */
export function qualifiedNameOfAk(ek: PublicArea, ak: PublicArea): Uint8Array {
  return digestAsName(ak.nameAlg, concat(qualifiedNameOfEk(ek), nameOf(ak)));
}

function digestAsName(hash: TpmHash, bytes: Uint8Array): Uint8Array {
  return concat(u16(TPM_HASHES[hash].id), createHash(hash).update(bytes).digest());
}
