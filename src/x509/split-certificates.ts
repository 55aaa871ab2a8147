import { DerReader, Tag } from './der.ts';

/**
 * The certificates of a text that is DER in a row, as the Workload API has them: each as it is, not parsed.
 *
 * @param what for messages
 * @throws SpiffeError where there is something else among them
 */
export function splitCertificates(ders: Uint8Array, what: string): readonly Uint8Array[] {
  const reader = new DerReader(ders);
  const certificates: Uint8Array[] = [];
  while (!reader.isAtEnd) certificates.push(reader.readRaw(Tag.sequence, what));
  return certificates;
}
