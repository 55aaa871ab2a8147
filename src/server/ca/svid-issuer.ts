import { randomUUID } from 'node:crypto';
import { signJwtSvid } from '../../spiffe/jwt-svid.ts';
import type { SpiffeId } from '../../spiffe/spiffe-id.ts';
import { issueX509Svid } from '../../x509/svid-template.ts';
import type { CaManager } from './ca-manager.ts';
import { randomSerialNumber } from './serial-number.ts';
import { BACKDATE_SECONDS } from './x509-authorities.ts';

export interface IssuedX509Svid {
  /** DER, leaf first, then what links it to the bundle. */
  readonly chain: readonly Uint8Array[];
  readonly serialNumber: Uint8Array;
  /** Unix seconds. */
  readonly expiresAt: number;
}

export interface IssuedJwtSvid {
  readonly token: string;
  /** Unix seconds. */
  readonly issuedAt: number;
  readonly expiresAt: number;
}

export interface X509SvidRequest {
  readonly spiffeId: SpiffeId;
  /** SubjectPublicKeyInfo, DER, whose private key the requester has proved to hold. */
  readonly publicKey: Uint8Array;
  readonly dnsNames: readonly string[];
  /** Name element; absent: the usual one. */
  readonly subject?: Uint8Array;
  readonly ttlSeconds: number;
}

export interface JwtSvidRequest {
  readonly spiffeId: SpiffeId;
  readonly audience: readonly string[];
  readonly ttlSeconds: number;
  readonly includeJti: boolean;
}

/** Signs SVIDs with the authorities of the moment; none outlives the authority that signed it. */
export class SvidIssuer {
  readonly #authorities: CaManager;
  readonly #clock: () => Date;
  readonly #jwtIssuer: string | undefined;

  constructor(authorities: CaManager, options: { clock: () => Date; jwtIssuer?: string }) {
    this.#authorities = authorities;
    this.#clock = options.clock;
    this.#jwtIssuer = options.jwtIssuer;
  }

  async issueX509({ spiffeId, publicKey, dnsNames, subject, ttlSeconds }: X509SvidRequest): Promise<IssuedX509Svid> {
    const { signer, certificate, intermediates, notAfter } = this.#authorities.x509;
    const now = this.#now();
    const expiresAt = Math.min(now + ttlSeconds, notAfter);
    const serialNumber = randomSerialNumber();
    const svid = await issueX509Svid({
      issuer: { signer, certificate },
      subjectPublicKeyInfo: publicKey,
      spiffeId,
      dnsNames,
      ...(subject === undefined ? {} : { subject }),
      serialNumber,
      notBefore: new Date((now - BACKDATE_SECONDS) * 1000),
      notAfter: new Date(expiresAt * 1000),
    });
    return { chain: [svid, ...intermediates], serialNumber, expiresAt };
  }

  async issueJwt({ spiffeId, audience, ttlSeconds, includeJti }: JwtSvidRequest): Promise<IssuedJwtSvid> {
    const { signer, keyId, notAfter } = this.#authorities.jwt;
    const issuedAt = this.#now();
    const expiresAt = Math.min(issuedAt + ttlSeconds, notAfter);
    const claims = {
      sub: spiffeId,
      aud: audience,
      iat: issuedAt,
      exp: expiresAt,
      ...(this.#jwtIssuer === undefined ? {} : { iss: this.#jwtIssuer }),
      ...(includeJti ? { jti: randomUUID() } : {}),
    };
    return { token: await signJwtSvid(claims, keyId, signer), issuedAt, expiresAt };
  }

  #now(): number {
    return Math.floor(this.#clock().getTime() / 1000);
  }
}
