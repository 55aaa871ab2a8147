import { type Certificate, parseCertificate } from '../x509/certificate.ts';
import { verifyChain } from '../x509/chain.ts';
import { OID } from '../x509/oids.ts';
import type { Bundle } from './bundle.ts';
import { isSpiffeError, SpiffeError } from './error.ts';
import { parseSpiffeId, pathOf, type SpiffeId, trustDomainOf } from './spiffe-id.ts';

/** What an X509-SVID proves, after {@link validateX509Svid}. */
export interface X509SvidIdentity {
  readonly spiffeId: SpiffeId;
  readonly leaf: Certificate;
  /** Leaf first, the authority of the bundle last. */
  readonly chain: readonly Certificate[];
}

/** Certificates that a peer may send; real chains have one to four. */
const MAX_CHAIN_LENGTH = 16;

/**
 * Validates what a peer sent, leaf first, against the bundle of the leaf's trust domain.
 *
 * @param chain DER, one certificate each
 * @throws SpiffeError `SVID_INVALID` for a leaf or a signing certificate that is no X509-SVID; `CERTIFICATE_UNTRUSTED`
 *   without a path to an authority of the bundle; `CERTIFICATE_INVALID` for what cannot be parsed
 * @see X509-SVID §5.1 (path), §5.2 (leaf)
 */
export function validateX509Svid(chain: readonly Uint8Array[], bundle: Bundle, now: Date): X509SvidIdentity {
  if (chain.length > MAX_CHAIN_LENGTH) {
    throw invalid(`chain has ${chain.length} certificates: ${MAX_CHAIN_LENGTH} at most`);
  }
  const [leaf, ...intermediates] = chain.map(parseCertificate);
  if (leaf === undefined) throw invalid('chain is empty: it needs the leaf at least');
  const spiffeId = requireX509SvidLeaf(leaf);
  if (trustDomainOf(spiffeId) !== bundle.trustDomain) {
    throw new SpiffeError(
      'CERTIFICATE_UNTRUSTED',
      `X509-SVID ${spiffeId} cannot be verified by the bundle of trust domain "${bundle.trustDomain}"`,
    );
  }
  const roots = bundle.x509Authorities.map(({ certificate }) => parsedAuthority(certificate));
  const path = verifyChain({ leaf, intermediates, roots, now });
  for (const certificate of path.slice(1)) requireSigningCertificate(certificate);
  return { spiffeId, leaf, chain: path };
}

/**
 * The rules of a leaf, without its path to an authority.
 *
 * @returns its SPIFFE ID
 * @throws SpiffeError `SVID_INVALID`
 * @see X509-SVID §2, §3.1, §4.1, §4.3, §4.4
 */
export function requireX509SvidLeaf(leaf: Certificate): SpiffeId {
  const spiffeId = spiffeIdOfCertificate(leaf);
  if (pathOf(spiffeId) === '') throw invalid(`SPIFFE ID ${spiffeId} of a leaf has no path`); // §3.1
  if (leaf.isCa) throw invalid(`leaf ${spiffeId} is a CA certificate: cA must be false`); // §4.1
  const { keyUsage } = leaf;
  if (keyUsage === undefined) throw invalid(`leaf ${spiffeId} has no key usage`); // §4.3
  if (keyUsage.keyCertSign || keyUsage.crlSign) {
    throw invalid(`leaf ${spiffeId} may sign by its key usage: keyCertSign and cRLSign must not be set`); // §4.3, §5.2
  }
  if (!keyUsage.digitalSignature) throw invalid(`leaf ${spiffeId} has a key usage without digitalSignature`); // §4.3
  if (leaf.extensions.get(OID.keyUsage)?.isCritical !== true) {
    throw invalid(`leaf ${spiffeId} has a key usage that is not critical`); // §4.3
  }
  const purposes = leaf.extendedKeyUsage;
  if (purposes && !(purposes.includes(OID.serverAuth) && purposes.includes(OID.clientAuth))) {
    throw invalid(`leaf ${spiffeId} has an extended key usage without serverAuth and clientAuth`); // §4.4
  }
  return spiffeId;
}

/**
 * The rules of a signing certificate that is an SVID itself, which it need not be. Its ID may end in a slash, as in the
 * example of SPIFFE Trust Domain and Bundle, appendix A.
 *
 * @see X509-SVID §2, §3.2
 */
function requireSigningCertificate({ uriNames }: Certificate): void {
  if (!uriNames.some((name) => name.startsWith('spiffe:'))) return;
  const id = onlySpiffeId(uriNames.map((name) => name.replace(/^(spiffe:\/\/[^/]+)\/$/, '$1')));
  if (pathOf(id) !== '') throw invalid(`SPIFFE ID ${id} of a signing certificate has a path`);
}

/**
 * The SPIFFE ID that a certificate claims; nothing is verified.
 *
 * @throws SpiffeError `SVID_INVALID` without exactly one URI name, or where it is no SPIFFE ID
 * @see X509-SVID §2
 */
export function spiffeIdOfCertificate(certificate: Certificate): SpiffeId {
  return onlySpiffeId(certificate.uriNames);
}

function onlySpiffeId([name, ...more]: readonly string[]): SpiffeId {
  if (name === undefined) throw invalid('certificate has no URI name: an X509-SVID has exactly one');
  if (more.length > 0) throw invalid(`certificate has ${more.length + 1} URI names: an X509-SVID has exactly one`);
  try {
    return parseSpiffeId(name);
  } catch (cause) {
    if (!isSpiffeError(cause)) throw cause;
    throw new SpiffeError('SVID_INVALID', `URI name of the certificate is no SPIFFE ID: ${cause.message}`, { cause });
  }
}

const parsedAuthorities = new WeakMap<Uint8Array, Certificate>();

/** Bundles are immutable values that live long, so each authority is parsed once. */
function parsedAuthority(der: Uint8Array): Certificate {
  const known = parsedAuthorities.get(der);
  if (known) return known;
  const parsed = parseCertificate(der);
  parsedAuthorities.set(der, parsed);
  return parsed;
}

function invalid(message: string): SpiffeError {
  return new SpiffeError('SVID_INVALID', message);
}
