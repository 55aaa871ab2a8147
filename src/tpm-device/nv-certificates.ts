import { isSpiffeError } from '../spiffe/error.ts';
import { cutNvCertificate } from '../tpm/nv-certificate.ts';
import type { TpmDevice } from './device.ts';

/** Where a vendor leaves the chain above the EK certificate: TCG EK Credential Profile 2.5, §2.2.1.5.2. */
const CHAIN_RANGE = { first: 0x01c00100, last: 0x01c001ff } as const;
/** An EK's own certificate comes before them. */
const MAX_CHAIN_CERTIFICATES = 7;
/** More than that many certificates need. */
const MAX_CHAIN_BYTES = 64 * 1024;
const DER_HEADER_BYTES = 4;

/**
 * @returns exact DER
 * @throws SpiffeError `TPM_DATA_INVALID` where the index holds something else
 */
export async function findNvCertificate(tpm: TpmDevice, index: number): Promise<Uint8Array | undefined> {
  const content = await tpm.findNv(index);
  return content === undefined ? undefined : cutNvCertificate(content);
}

/** The certificates above the EK's that the TPM holds: one after the other, over as many indices as they need. */
export async function readNvChain(tpm: TpmDevice): Promise<readonly Uint8Array[]> {
  const contents: Uint8Array[] = [];
  let bytes = 0;
  for (const index of await tpm.listNv(CHAIN_RANGE.first)) {
    if (index > CHAIN_RANGE.last || bytes > MAX_CHAIN_BYTES) break;
    const content = (await tpm.findNv(index)) ?? new Uint8Array(0);
    contents.push(content);
    bytes += content.length;
  }
  return [...splitCertificates(Buffer.concat(contents))].slice(0, MAX_CHAIN_CERTIFICATES);
}

/** Certificates of exact DER, until something else follows. They only help to build a chain: what is wrong is left out. */
export function* splitCertificates(bytes: Uint8Array): Iterable<Uint8Array> {
  let rest = bytes;
  while (rest.length > DER_HEADER_BYTES) {
    const length = DER_HEADER_BYTES + (rest[2] ?? 0) * 256 + (rest[3] ?? 0);
    try {
      yield cutNvCertificate(rest.subarray(0, length));
    } catch (error) {
      if (isSpiffeError(error, 'TPM_DATA_INVALID')) return;
      throw error;
    }
    rest = rest.subarray(length);
  }
}
