import { createHash, getHashes } from 'node:crypto';
import { expect, test } from 'vitest';
import { TPM_HASHES, type TpmHash } from '../../src/tpm/algorithms.ts';
import { EK_TEMPLATES } from '../../src/tpm/ek-templates.ts';
import { concat, sized, u16, u32 } from '../../src/tpm/tpm-writer.ts';
import { toHex } from './vectors.ts';

const CC_POLICY_SECRET = u32(0x151);
const CC_POLICY_OR = u32(0x171);
const CC_POLICY_AUTHORIZE_NV = u32(0x192);
const ENDORSEMENT = u32(0x4000000b);
/** Index and attributes of the NV index that a high-range policy may be kept in: EK Credential Profile 2.5, §B.5. */
const POLICY_INDEX: Readonly<Record<string, number>> = {
  sha256: 0x01c07f01,
  sha384: 0x01c07f02,
  sha512: 0x01c07f03,
  sm3: 0x01c07f04,
};
const POLICY_INDEX_ATTRIBUTES = 0x220f1008;

/** The policies from their definition: Part 3, TPM2_PolicySecret, TPM2_PolicyOR, TPM2_PolicyAuthorizeNV. */
function policies(hash: TpmHash): { readonly low: string; readonly high: string } {
  const digest = (...parts: readonly Uint8Array[]) =>
    createHash(hash)
      .update(concat(...parts))
      .digest();
  const { id, size } = TPM_HASHES[hash];
  const zero = new Uint8Array(size);
  const a = digest(digest(zero, CC_POLICY_SECRET, ENDORSEMENT));
  const nvPublic = concat(u32(POLICY_INDEX[hash] ?? 0), u16(id), u32(POLICY_INDEX_ATTRIBUTES), sized(a), u16(size + 2));
  const c = digest(zero, CC_POLICY_AUTHORIZE_NV, u16(id), digest(nvPublic));
  return { low: toHex(a), high: toHex(digest(zero, CC_POLICY_OR, a, c)) };
}

test.each(EK_TEMPLATES.filter((template) => getHashes().includes(template.publicArea.nameAlg)))(
  'the policy of $name is the one that its definition gives',
  ({ publicArea, range }) => {
    expect(toHex(publicArea.authPolicy)).toBe(policies(publicArea.nameAlg)[range]);
  },
);
