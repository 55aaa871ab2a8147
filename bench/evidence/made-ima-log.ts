import { createHash, hash } from 'node:crypto';
import type { QuotedPcrs } from '../../src/tpm/boot/read-boot-facts.ts';
import { digestField, encodeEntry, field, fileData } from '../../test/tpm/made-ima-log.ts';

/** Part of a log, and what PCR 10 is behind it. */
export interface ImaPart {
  readonly log: Uint8Array;
  readonly pcr: Uint8Array;
}

export const pathOf = (index: number): string => `/usr/lib/x86_64-linux-gnu/bench/lib${index}.so.1.2.3`;
export const contentsOf = (index: number): string => `contents ${index}`;

/** The log of a boot with these PCRs, in parts of so many files. */
export function makeImaLog(pcrs: QuotedPcrs, parts: readonly number[]): readonly ImaPart[] {
  const sum = createHash('sha256');
  for (let index = 0; index < 10; index++) sum.update(pcrs.get(index) ?? new Uint8Array());
  const aggregate = Buffer.concat([field(digestField('sha256', sum.digest())), field('boot_aggregate\0')]);
  let pcr = Buffer.alloc(32);
  let [first, next] = [[aggregate], 0];
  return parts.map((count) => {
    const data = [
      ...first,
      ...Array.from({ length: count }, (_, index) => fileData(pathOf(next + index), contentsOf(next + index))),
    ];
    [first, next] = [[], next + count];
    for (const one of data) pcr = hash('sha256', Buffer.concat([pcr, hash('sha256', one, 'buffer')]), 'buffer');
    return { log: Buffer.concat(data.map((one) => encodeEntry({ data: one }))), pcr: Uint8Array.from(pcr) };
  });
}
