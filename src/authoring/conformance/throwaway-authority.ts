import { generateKeyPairSync, randomBytes } from 'node:crypto';
import type { Bundle as WireBundle } from '../../gen/spire/plugin/types/types.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';
import { issueCaCertificate } from '../../x509/ca-template.ts';
import { type Certificate, parseCertificate } from '../../x509/certificate.ts';
import { type Signer, signerOfKeyObject } from '../../x509/signer.ts';
import { issueX509Svid } from '../../x509/svid-template.ts';

const SKEW_MS = 60_000;
const LIFETIME_MS = 3_600_000;

/** An X509-SVID with its key. */
export interface ThrowawaySvid {
  /** DER, leaf first. */
  readonly certificates: readonly Uint8Array[];
  /** PKCS #8, DER. */
  readonly privateKey: Uint8Array;
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKey: Uint8Array;
  /** Unix seconds. */
  readonly expiresAt: number;
}

/** A certificate authority for the length of a run: what plugins are handed is real, and worth nothing. */
export class ThrowawayAuthority {
  /** DER. */
  readonly root: Uint8Array;
  readonly #trustDomain: TrustDomain;
  readonly #issuer: { readonly signer: Signer; readonly certificate: Certificate };

  private constructor(trustDomain: TrustDomain, signer: Signer, root: Uint8Array) {
    this.#trustDomain = trustDomain;
    this.#issuer = { signer, certificate: parseCertificate(root) };
    this.root = root;
  }

  static async of(trustDomain: TrustDomain): Promise<ThrowawayAuthority> {
    const signer = newSigner();
    const root = await issueCaCertificate({ issuer: 'self', signer, trustDomain, ...serialAndTimes() });
    return new ThrowawayAuthority(trustDomain, signer, root);
  }

  async issue(spiffeId: string): Promise<ThrowawaySvid> {
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const subjectPublicKeyInfo = publicKey.export({ type: 'spki', format: 'der' });
    const times = serialAndTimes();
    const leaf = await issueX509Svid({
      issuer: this.#issuer,
      subjectPublicKeyInfo,
      spiffeId,
      dnsNames: [],
      ...times,
    });
    return {
      certificates: [leaf],
      privateKey: privateKey.export({ type: 'pkcs8', format: 'der' }),
      publicKey: subjectPublicKeyInfo,
      expiresAt: Math.floor(times.notAfter.getTime() / 1_000),
    };
  }

  /** The authority and one JWT key, as a server tells plugins. */
  wireBundle(sequenceNumber: bigint): WireBundle {
    const key = { publicKey: newSigner().publicKey, keyId: `key-${sequenceNumber}`, expiresAt: 0n, tainted: false };
    return {
      trustDomain: this.#trustDomain,
      x509Authorities: [{ asn1: this.root, tainted: false }],
      jwtAuthorities: [key],
      refreshHint: 300n,
      sequenceNumber,
      witAuthorities: [],
    };
  }
}

export function newSigner(): Signer {
  return signerOfKeyObject(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey);
}

function serialAndTimes() {
  const now = Date.now();
  return {
    serialNumber: Uint8Array.of(0x40, ...randomBytes(17)),
    notBefore: new Date(now - SKEW_MS),
    notAfter: new Date(now + LIFETIME_MS),
  };
}
