import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** The captured machines of test/vectors/tpm. */
export const MACHINES = ['direct-kernel', 'shim-grub-secure-boot'] as const;
export type Machine = (typeof MACHINES)[number];

export function readVector(machine: Machine, name: string): Uint8Array {
  return Uint8Array.from(readFileSync(fileURLToPath(new URL(`../vectors/tpm/${machine}/${name}`, import.meta.url))));
}

/** Values of `pcrs-after.txt`. */
export function readPcrVector(machine: Machine, bank: string, index: number): Uint8Array {
  const lines = Buffer.from(readVector(machine, 'pcrs-after.txt')).toString('ascii').split('\n');
  const line = lines.find((text) => text.startsWith(`${bank} ${index} `));
  return Uint8Array.from(Buffer.from(line?.split(' ')[2] ?? '', 'hex'));
}

export function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
