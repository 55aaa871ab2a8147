import { hash } from 'node:crypto';
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
  return qualifiedNameOfPrimary({ nameAlg: ek.nameAlg, name: nameOf(ek) });
}

/** Qualified Name of a key whose parent is the endorsement key. */
export function qualifiedNameOfAk(ek: PublicArea, ak: PublicArea): Uint8Array {
  return qualifiedNameUnder({ nameAlg: ek.nameAlg, name: nameOf(ek) }, { nameAlg: ak.nameAlg, name: nameOf(ak) });
}

/** An object by its Name, which is by this hash. */
export interface NamedObject {
  readonly nameAlg: TpmHash;
  readonly name: Uint8Array;
}

/** The same as {@link qualifiedNameOfAk}, of Names that are known. */
export function qualifiedNameUnder(ek: NamedObject, ak: NamedObject): Uint8Array {
  return digestAsName(ak.nameAlg, concat(qualifiedNameOfPrimary(ek), ak.name));
}

function qualifiedNameOfPrimary({ nameAlg, name }: NamedObject): Uint8Array {
  return digestAsName(nameAlg, concat(u32(ENDORSEMENT_HIERARCHY), name));
}

function digestAsName(algorithm: TpmHash, bytes: Uint8Array): Uint8Array {
  return concat(u16(TPM_HASHES[algorithm].id), hash(algorithm, bytes, 'buffer'));
}
