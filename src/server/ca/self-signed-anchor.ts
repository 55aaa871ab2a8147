import type { JwtAuthority } from '../../spiffe/bundle.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';
import { issueCaCertificate } from '../../x509/ca-template.ts';
import type { DistinguishedName } from '../../x509/name.ts';
import { decimalSerialNumber, randomSerialNumber } from '../../x509/serial-number.ts';
import type { Signer } from '../../x509/signer.ts';
import type { BundleKeeper } from '../bundle-keeper.ts';
import type { CaAnchor, CertifiedCa } from './ca-anchor.ts';
import type { Composers } from './composing/composers.ts';
import { requireUnrevoked } from './refusals.ts';
import { BACKDATE_SECONDS } from './x509-authorities.ts';

export interface SelfSignedAnchorOptions {
  readonly bundle: BundleKeeper;
  readonly trustDomain: TrustDomain;
  readonly ttlSeconds: number;
  readonly subject: DistinguishedName;
  readonly composers: Composers;
}

/** Each CA is its own root. */
export class SelfSignedAnchor implements CaAnchor {
  readonly hasUpstream = false;
  readonly #options: SelfSignedAnchorOptions;

  constructor(options: SelfSignedAnchorOptions) {
    this.#options = options;
  }

  async certify(signer: Signer, now: number): Promise<CertifiedCa> {
    const { bundle, trustDomain, ttlSeconds, subject, composers } = this.#options;
    const serialNumber = randomSerialNumber();
    const notAfter = now + ttlSeconds;
    // The serial number keeps the subjects of two generations apart, which verifiers look issuers up by.
    const composed = await composers.composeCa({ ...subject, serialNumber: decimalSerialNumber(serialNumber) });
    const certificate = await issueCaCertificate({
      issuer: 'self',
      signer,
      ...composed,
      trustDomain,
      serialNumber,
      notBefore: new Date((now - BACKDATE_SECONDS) * 1000),
      notAfter: new Date(notAfter * 1000),
    });
    await bundle.append({ x509: [{ certificate, tainted: false }] });
    return { chain: [certificate], upstreamAuthorityId: '', notAfter };
  }

  async publishJwtAuthority(authority: JwtAuthority): Promise<void> {
    requireUnrevoked(await this.#options.bundle.appendUnrevoked({ jwt: [authority] }));
  }
}
