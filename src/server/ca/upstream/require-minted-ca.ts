import { generateKeyPairSync } from 'node:crypto';
import type { X509Authority } from '../../../spiffe/bundle.ts';
import { isSpiffeError, SpiffeError } from '../../../spiffe/error.ts';
import { type Certificate, parseCertificate } from '../../../x509/certificate.ts';
import { verifyChain } from '../../../x509/chain.ts';
import { randomSerialNumber } from '../../../x509/serial-number.ts';
import type { Signer } from '../../../x509/signer.ts';
import { issueX509Svid } from '../../../x509/svid-template.ts';

export interface MintedCaCheck {
  /** DER: what the upstream answered, the CA first. */
  readonly chain: readonly Uint8Array[];
  readonly roots: readonly X509Authority[];
  /** Of the key that the CA was asked for. */
  readonly signer: Signer;
  readonly trustDomain: string;
  readonly now: Date;
}

export interface CheckedCa {
  readonly certificate: Certificate;
  /** That verifies it: one that is not tainted, where there is one. */
  readonly root: Certificate;
  readonly isBelowTainted: boolean;
}

/**
 * A CA that a PKI above signed is ours, and what it signs verifies: an SVID that is thrown away is signed to see.
 *
 * @throws SpiffeError `FAILED_PRECONDITION` with the reason
 */
export async function requireMintedCa({ chain, roots, signer, trustDomain, now }: MintedCaCheck): Promise<CheckedCa> {
  const [certificate, ...intermediates] = chain.map(parseCertificate);
  if (certificate === undefined) throw unusable('it is missing');
  if (Buffer.compare(certificate.subjectPublicKeyInfo, signer.publicKey) !== 0) {
    throw unusable('it is for another key than the one it was asked for');
  }
  if (!certificate.isCa) throw unusable('it is no CA by its basicConstraints');
  if (certificate.keyUsage?.keyCertSign !== true) throw unusable('it may not sign certificates by its keyUsage');
  if (certificate.subjectKeyId === undefined) throw unusable('it has no subjectKeyIdentifier, which it is known by');
  const strange = certificate.uriNames.find((name) => name !== `spiffe://${trustDomain}`);
  if (strange !== undefined) throw unusable(`it has the URI name "${strange.slice(0, 200)}"`);
  const trial = parseCertificate(await signTrial(certificate, signer, trustDomain, now));
  const verify = (by: readonly X509Authority[]) =>
    verifyChain({
      leaf: trial,
      intermediates: [certificate, ...intermediates],
      roots: by.map((root) => parseCertificate(root.certificate)),
      now,
    }).at(-1);
  const isGood = roots.filter(({ tainted }) => !tainted);
  const root = findRoot(() => verify(isGood));
  if (root !== undefined) return { certificate, root, isBelowTainted: false };
  const any = requireRoot(() => verify(roots));
  return { certificate, root: any, isBelowTainted: true };
}

/** By a moment later than its beginning: clocks differ. */
async function signTrial(
  certificate: Certificate,
  signer: Signer,
  trustDomain: string,
  now: Date,
): Promise<Uint8Array> {
  const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return await issueX509Svid({
    issuer: { signer, certificate },
    subjectPublicKeyInfo: new Uint8Array(publicKey.export({ type: 'spki', format: 'der' })),
    spiffeId: `spiffe://${trustDomain}/trial`,
    dnsNames: [],
    serialNumber: randomSerialNumber(),
    notBefore: new Date(now.getTime() - 1_000),
    notAfter: new Date(now.getTime() + 60_000),
  });
}

function findRoot(verify: () => Certificate | undefined): Certificate | undefined {
  try {
    return verify();
  } catch (error) {
    if (!isSpiffeError(error)) throw error;
    return undefined;
  }
}

function requireRoot(verify: () => Certificate | undefined): Certificate {
  try {
    const root = verify();
    if (root !== undefined) return root;
  } catch (cause) {
    if (!isSpiffeError(cause)) throw cause;
    throw unusable(`what it signs does not verify against the roots that came with it: ${cause.message}`, cause);
  }
  throw unusable('no root verifies what it signs');
}

function unusable(reason: string, cause?: unknown): SpiffeError {
  return new SpiffeError('FAILED_PRECONDITION', `the CA that the upstream authority signed cannot be used: ${reason}`, {
    cause,
  });
}
