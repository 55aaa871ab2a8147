import { SpiffeError } from '../../spiffe/error.ts';
import { type CertificateRequest, parseCsrAside } from '../../x509/csr.ts';

/** @throws SpiffeError `ARGUMENT_INVALID` where it is missing, `CSR_INVALID` where it does not parse or prove its key. */
export async function requireCsr(csr: Uint8Array | undefined): Promise<CertificateRequest> {
  if (csr === undefined || csr.length === 0) throw new SpiffeError('ARGUMENT_INVALID', 'missing CSR');
  return parseCsrAside(csr);
}
