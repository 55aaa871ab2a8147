import type { BootFacts } from '../../boot/boot-facts.ts';
import type { PcrSet } from '../boot-policy.ts';
import { requireRule } from '../require-rule.ts';

/** All values of one set. @throws SpiffeError `ATTESTATION_DENIED` (C22, P2) about the first difference from the first set */
export function requirePcrs(sets: readonly PcrSet[], { bank, pcrs }: BootFacts): void {
  const differences = sets.map((set) => {
    const index = Object.keys(set.values).find(
      (key) => hexOf(pcrs.get(Number(key))) !== set.values[key]?.toLowerCase(),
    );
    return { name: set.name, index, wanted: index === undefined ? '' : (set.values[index] ?? '') };
  });
  const isMet = differences.some(({ index }) => index === undefined);
  const index = differences[0]?.index ?? '';
  const found = hexOf(pcrs.get(Number(index)));
  const subject = `PCR ${index} of ${bank}`;
  const wanted = differences
    .map((one) => (one.index === index ? `${one.wanted} (${one.name})` : `another PCR ${one.index} (${one.name})`))
    .join(' or ');
  requireRule('C22', isMet || found !== undefined, { subject, found: 'not in the quote', wanted });
  requireRule('P2', isMet, { subject, found: found ?? '', wanted });
}

const hexOf = (bytes: Uint8Array | undefined) => bytes && Buffer.from(bytes).toString('hex');
