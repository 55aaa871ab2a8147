import { SpiffeError } from '../../spiffe/error.ts';
import type { SpiffeId } from '../../spiffe/spiffe-id.ts';
import { requireX509SvidLeaf } from '../../spiffe/x509-svid.ts';
import { type Certificate, parseCertificate } from '../../x509/certificate.ts';

export interface ReceivedSvidOptions {
  /** DER, leaf first. */
  readonly chain: readonly Uint8Array[];
  /** SubjectPublicKeyInfo of the CSR, DER. */
  readonly publicKey: Uint8Array;
  readonly now: Date;
}

/**
 * Checks an X.509-SVID that the server has just issued: it is one, it is for our key and it is valid now.
 *
 * @throws SpiffeError `SVID_INVALID`; with both clocks where it is not valid at this time.
 */
export function requireReceivedSvid({ chain, publicKey, now }: ReceivedSvidOptions): {
  readonly spiffeId: SpiffeId;
  readonly leaf: Certificate;
} {
  const [first] = chain;
  if (first === undefined)
    throw new SpiffeError('SVID_INVALID', 'the server answered an X.509-SVID without a certificate');
  const leaf = parseCertificate(first);
  const spiffeId = requireX509SvidLeaf(leaf);
  if (Buffer.compare(leaf.subjectPublicKeyInfo, publicKey) !== 0) {
    throw new SpiffeError('SVID_INVALID', `the server issued the X.509-SVID of ${spiffeId} for another key than ours`);
  }
  requireValidNow(spiffeId, leaf, now);
  return { spiffeId, leaf };
}

function requireValidNow(spiffeId: SpiffeId, { notBefore, notAfter }: Certificate, now: Date): void {
  const fault = now < notBefore ? 'not valid yet' : now >= notAfter ? 'expired already' : undefined;
  if (fault === undefined) return;
  throw new SpiffeError(
    'SVID_INVALID',
    `the X.509-SVID that the server has just issued to ${spiffeId} is ${fault}: by the server's clock it is valid from ` +
      `${notBefore.toISOString()} to ${notAfter.toISOString()}, by this node's clock it is ${now.toISOString()}; ` +
      'set both clocks by the same time service',
  );
}
