import { generateKeyPairSync } from 'node:crypto';
import type { TlsIdentity } from '../../../src/rpc/tls-identity.ts';
import { type Bundle, emptyBundle } from '../../../src/spiffe/bundle.ts';
import { parseSpiffeId } from '../../../src/spiffe/spiffe-id.ts';
import { parseTrustDomain } from '../../../src/spiffe/trust-domain.ts';
import { issueCaCertificate } from '../../../src/x509/ca-template.ts';
import { parseCertificate } from '../../../src/x509/certificate.ts';
import type { Issuer } from '../../../src/x509/certificate-template.ts';
import { issueX509Svid } from '../../../src/x509/svid-template.ts';
import { ecSigner, randomSerial } from '../../x509/made-certificate.ts';

const dates = () => ({ notBefore: new Date(Date.now() - 10_000), notAfter: new Date(Date.now() + 3_600_000) });

/** A trust domain with an authority of its own and no server. */
export class ForeignDomain {
  readonly bundle: Bundle;
  readonly #issuer: Issuer;

  private constructor(bundle: Bundle, issuer: Issuer) {
    this.bundle = bundle;
    this.#issuer = issuer;
  }

  static async create(name: string): Promise<ForeignDomain> {
    const signer = ecSigner();
    const options = { issuer: 'self', signer, trustDomain: name, serialNumber: randomSerial(), ...dates() } as const;
    const certificate = parseCertificate(await issueCaCertificate(options));
    const x509Authorities = [{ certificate: certificate.der, tainted: false }];
    const bundle = { ...emptyBundle(parseTrustDomain(name)), x509Authorities };
    return new ForeignDomain(bundle, { signer, certificate });
  }

  /** Somebody of it, or somebody that this authority says is of another one. */
  async identity(spiffeId: string): Promise<TlsIdentity> {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const certificate = await issueX509Svid({
      issuer: this.#issuer,
      subjectPublicKeyInfo: publicKey.export({ type: 'spki', format: 'der' }),
      spiffeId: parseSpiffeId(spiffeId),
      dnsNames: [],
      serialNumber: randomSerial(),
      ...dates(),
    });
    return { certificates: [certificate], privateKey };
  }
}
