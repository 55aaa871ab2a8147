import { randomUUID } from 'node:crypto';
import { isSpiffeError } from '../../spiffe/error.ts';
import { type JwtSvidClaims, signJwtSvid } from '../../spiffe/jwt-svid.ts';
import { requireIssuableId, type SpiffeId } from '../../spiffe/spiffe-id.ts';
import { Status } from '../../spiffe/status.ts';
import type { Metrics } from '../../telemetry/metrics.ts';
import type { Counter } from '../../telemetry/series.ts';
import { randomSerialNumber } from '../../x509/serial-number.ts';
import { issueX509Svid } from '../../x509/svid-template.ts';
import type { CaManager } from './ca-manager.ts';
import { type ComposedX509SvidRequest, composeX509Svid } from './composing/compose-x509-svid.ts';
import type { Composers } from './composing/composers.ts';
import {
  type DownstreamCaOptions,
  type DownstreamCaRequest,
  downstreamCaSubject,
  issueDownstreamCa,
} from './downstream-ca.ts';
import type { JwtSigningAuthority } from './jwt-authorities.ts';
import { BACKDATE_SECONDS, type X509SigningAuthority } from './x509-authorities.ts';

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
  readonly #downstreamCa: DownstreamCaOptions;
  readonly #composers: Composers;
  /** Inventory M056 to M058. */
  readonly #signed: Readonly<Record<'jwt' | 'x509Ca' | 'x509', Counter>>;

  constructor(
    authorities: CaManager,
    options: {
      clock: () => Date;
      metrics: Metrics;
      jwtIssuer?: string;
      composers: Composers;
      downstreamCa: DownstreamCaOptions;
    },
  ) {
    this.#composers = options.composers;
    this.#authorities = authorities;
    this.#clock = options.clock;
    this.#jwtIssuer = options.jwtIssuer;
    this.#downstreamCa = options.downstreamCa;
    const signed = (what: string) => options.metrics.counter(['server_ca', 'sign', what]);
    this.#signed = { jwt: signed('jwt_svid'), x509Ca: signed('x509_ca_svid'), x509: signed('x509_svid') };
  }

  async issueX509(request: X509SvidRequest): Promise<IssuedX509Svid> {
    requireIssuableId(request.spiffeId);
    const composed = this.#composers.isEmpty ? request : await composeX509Svid(request, this.#composers);
    return this.#sign(
      () => this.#authorities.x509,
      (authority) => this.#issueX509(composed, authority),
    );
  }

  async issueJwt(request: JwtSvidRequest): Promise<IssuedJwtSvid> {
    requireIssuableId(request.spiffeId);
    const given = this.#claimsOf(request);
    const claims = this.#composers.isEmpty ? given : await this.#composers.composeJwtSvid(given);
    return this.#sign(
      () => this.#authorities.jwt,
      (authority) => this.#issueJwt(claims, authority),
    );
  }

  /** @returns DER, the CA of the server below first, then what links it to the bundle */
  async issueDownstreamCa(request: DownstreamCaRequest): Promise<readonly Uint8Array[]> {
    const composed = await this.#composers.composeCa(downstreamCaSubject(this.#downstreamCa));
    const chain = await this.#sign(
      () => this.#authorities.x509Ca,
      (authority) => issueDownstreamCa({ ...request, composed }, authority, this.#downstreamCa, this.#now()),
    );
    this.#signed.x509Ca.add(1);
    return chain;
  }

  /** Where an authority does not sign, its key may be gone with the process that kept it: then another one signs. */
  async #sign<Authority extends X509SigningAuthority | JwtSigningAuthority, Svid>(
    authorityOf: () => Authority,
    issue: (authority: Authority) => Promise<Svid>,
  ): Promise<Svid> {
    const authority = authorityOf();
    try {
      return await issue(authority);
    } catch (error) {
      if (isSpiffeError(error) && error.status === Status.InvalidArgument) throw error; // the request's own fault
      await this.#authorities.rotate();
      const next = authorityOf();
      if (Buffer.compare(next.signer.publicKey, authority.signer.publicKey) === 0) throw error;
      return await issue(next);
    }
  }

  async #issueX509(
    { spiffeId, publicKey, dnsNames, subject, extraExtensions, ttlSeconds }: ComposedX509SvidRequest,
    { signer, certificate, intermediates, notAfter }: X509SigningAuthority,
  ): Promise<IssuedX509Svid> {
    const now = this.#now();
    const expiresAt = Math.min(now + ttlSeconds, notAfter);
    const serialNumber = randomSerialNumber();
    const svid = await issueX509Svid({
      issuer: { signer, certificate },
      subjectPublicKeyInfo: publicKey,
      spiffeId,
      dnsNames,
      ...(subject === undefined ? {} : { subject }),
      ...(extraExtensions === undefined ? {} : { extraExtensions }),
      serialNumber,
      notBefore: new Date((now - BACKDATE_SECONDS) * 1000),
      notAfter: new Date(expiresAt * 1000),
    });
    this.#signed.x509.add(1);
    return { chain: [svid, ...intermediates], serialNumber, expiresAt };
  }

  async #issueJwt(
    claims: JwtSvidClaims & { readonly iat: number },
    { signer, keyId, notAfter }: JwtSigningAuthority,
  ): Promise<IssuedJwtSvid> {
    const expiresAt = Math.min(claims.exp, notAfter);
    const token = await signJwtSvid({ ...claims, exp: expiresAt }, keyId, signer);
    this.#signed.jwt.add(1);
    return { token, issuedAt: claims.iat, expiresAt };
  }

  #claimsOf({ spiffeId, audience, ttlSeconds, includeJti }: JwtSvidRequest) {
    const issuedAt = this.#now();
    return {
      sub: spiffeId,
      aud: audience,
      iat: issuedAt,
      exp: Math.min(issuedAt + ttlSeconds, this.#authorities.jwt.notAfter),
      ...(this.#jwtIssuer === undefined ? {} : { iss: this.#jwtIssuer }),
      ...(includeJti ? { jti: randomUUID() } : {}),
    };
  }

  #now(): number {
    return Math.floor(this.#clock().getTime() / 1000);
  }
}
