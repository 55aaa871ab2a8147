import { SpiffeError } from '../spiffe/error.ts';

/** The wrapper that some vendors write before a certificate: 10 01 00 and a u16 length (TCG PC Client, §7.3.2). */
const WRAPPER_BYTES = 5;
const MAX_CERTIFICATE_BYTES = 8192;

/**
 * Cuts an EK certificate out of what an NV index holds: wrapper before it, padding of 00 or FF after it.
 * It belongs where NV is read and nowhere else: on the wire a certificate is its exact DER.
 *
 * @throws SpiffeError `TPM_DATA_INVALID` when NV holds no certificate, or something else behind it
 */
export function cutNvCertificate(content: Uint8Array): Uint8Array {
  const start = content[0] === 0x10 && content[1] === 0x01 && content[2] === 0x00 ? WRAPPER_BYTES : 0;
  const [tag, form, high, low] = content.subarray(start, start + 4);
  if (tag !== 0x30 || form !== 0x82 || high === undefined || low === undefined) {
    throw new SpiffeError('TPM_DATA_INVALID', 'the NV index holds no X.509 certificate');
  }
  const length = 4 + high * 256 + low;
  const certificate = content.slice(start, start + length);
  if (certificate.length !== length || length > MAX_CERTIFICATE_BYTES) {
    throw new SpiffeError('TPM_DATA_INVALID', `the certificate in the NV index is cut off: it says ${length} bytes`);
  }
  const padding = content.subarray(start + length);
  if (!padding.every((byte) => byte === 0x00) && !padding.every((byte) => byte === 0xff)) {
    throw new SpiffeError('TPM_DATA_INVALID', 'something other than padding follows the certificate in the NV index');
  }
  return certificate;
}
