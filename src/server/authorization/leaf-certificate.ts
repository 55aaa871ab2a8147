import type { TlsPeer } from '../../rpc/peer.ts';
import { type Certificate, parseCertificate } from '../../x509/certificate.ts';

const leaves = new WeakMap<TlsPeer, Certificate>();

/** What a caller showed in its handshake, parsed once a connection. */
export function leafCertificateOf(peer: TlsPeer): Certificate | undefined {
  const [der] = peer.certificates;
  if (der === undefined) return undefined;
  let leaf = leaves.get(peer);
  if (leaf === undefined) {
    leaf = parseCertificate(der);
    leaves.set(peer, leaf);
  }
  return leaf;
}
