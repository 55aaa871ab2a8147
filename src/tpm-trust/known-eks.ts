import { createHash, hash } from 'node:crypto';
import { RecentMap } from '../spiffe/recent-map.ts';
import { type EndorsementKey, requireEndorsementKey } from '../tpm/endorsement-key.ts';
import type { Certificate } from '../x509/certificate.ts';
import { parseEkCertificates } from '../x509/ek-certificate.ts';

/** What a node says that its TPM is. */
export interface EkEvidence {
  /** TPM2B_PUBLIC. */
  readonly ekPublic: Uint8Array;
  /** DER. */
  readonly ekCertificates: readonly Uint8Array[];
}

/** The same, decoded. */
export interface DecodedEk {
  readonly ek: EndorsementKey;
  readonly certificates: readonly Certificate[];
}

interface KnownEk extends DecodedEk {
  readonly certificatesDigest: string;
}

/** About 10 KiB each. */
const MAX_KNOWN = 2_048;

/**
 * Endorsement keys that have attested, with their certificates: who comes again with the very same bytes is spared the decoding,
 * and nothing else. What depends on the time or on what an operator lists is judged each time.
 */
export class KnownEks {
  /** By SHA-256 of the key's bytes: each has one place, whatever certificates it brings. */
  readonly #known = new RecentMap<string, KnownEk>(MAX_KNOWN);

  /** @throws SpiffeError as {@link requireEndorsementKey} and {@link parseEkCertificates} do */
  decode({ ekPublic, ekCertificates }: EkEvidence): DecodedEk {
    const known = this.#known.get(hash('sha256', ekPublic));
    const ek = known?.ek ?? requireEndorsementKey(ekPublic);
    const isSame = known?.certificatesDigest === digestOf(ekCertificates);
    return isSame ? known : { ek, certificates: parseEkCertificates(ekCertificates) };
  }

  /** Once a node has proved that it holds the key. */
  keep({ ekPublic, ekCertificates }: EkEvidence, { ek, certificates }: DecodedEk): void {
    this.#known.set(hash('sha256', ekPublic), { ek, certificates, certificatesDigest: digestOf(ekCertificates) });
  }
}

function digestOf(parts: readonly Uint8Array[]): string {
  const sum = createHash('sha256');
  for (const part of parts) sum.update(`${part.length} `).update(part);
  return sum.digest('hex');
}
