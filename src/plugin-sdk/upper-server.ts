import { BundleDefinition } from '../gen/spire/api/server/bundle/v1/bundle.ts';
import { SVIDDefinition } from '../gen/spire/api/server/svid/v1/svid.ts';
import type { JWTKey } from '../gen/spire/api/types/types.ts';
import { fromApiBundle, fromApiJwtAuthority } from '../rpc/api-bundle.ts';
import { type Client, createClient } from '../rpc/client.ts';
import { CALL_DEADLINE_MS, SpireServerConnection } from '../rpc/spire-server-connection.ts';
import type { Bundle, JwtAuthority } from '../spiffe/bundle.ts';
import { messageOf, SpiffeError } from '../spiffe/error.ts';
import type { TrustDomain } from '../spiffe/trust-domain.ts';
import { parseCertificate } from '../x509/certificate.ts';
import type { WorkloadIdentity } from './workload-identity.ts';

export interface UpperServerOptions {
  readonly address: string;
  readonly port: number;
  readonly trustDomain: TrustDomain;
  readonly requirePqKem: boolean;
  /** What proves to it who we are, and to us who it is. */
  readonly identity: Pick<WorkloadIdentity, 'current' | 'onChange'>;
  /** For the answer to a call; 30 s by default. */
  readonly deadlineMs?: number;
}

export interface DownstreamCa {
  /** DER each: the new CA first, then what leads up to a root. */
  readonly certificates: readonly Uint8Array[];
  /** DER each. */
  readonly roots: readonly Uint8Array[];
}

interface Clients {
  readonly svid: Client<typeof SVIDDefinition>;
  readonly bundle: Client<typeof BundleDefinition>;
}

const MAX_CERTIFICATES = 1_000;

/**
 * A server of the same trust domain above the one that this plugin serves, as SPIRE's API has it: whoever calls has an entry
 * with `downstream` there. Failures are SpiffeErrors and RemoteErrors that name the server.
 */
export class UpperServer implements Disposable {
  readonly #connection: SpireServerConnection<Clients>;
  readonly #trustDomain: TrustDomain;
  readonly #deadlineMs: number;

  constructor(options: UpperServerOptions) {
    const { address, port, trustDomain, requirePqKem, identity, deadlineMs = CALL_DEADLINE_MS } = options;
    this.#trustDomain = trustDomain;
    this.#deadlineMs = deadlineMs;
    this.#connection = new SpireServerConnection(
      {
        address,
        port,
        trustDomain,
        requirePqKem,
        bundle: () => identity.current.bundle,
        identity: () => identity.current,
      },
      (channel) => ({ svid: createClient(SVIDDefinition, channel), bundle: createClient(BundleDefinition, channel) }),
    );
    identity.onChange(() => this.#connection.reconnect()); // it goes by the SVID that the connection was made with
  }

  /** @param preferredTtlSeconds 0: as the server likes */
  async newDownstreamX509Ca(csr: Uint8Array, preferredTtlSeconds: number, signal: AbortSignal): Promise<DownstreamCa> {
    const { caCertChain, x509Authorities } = await this.#connection.run(({ svid }) =>
      svid.newDownstreamX509CA({ csr, preferredTtl: preferredTtlSeconds }, { signal, deadlineMs: this.#deadlineMs }),
    );
    return {
      certificates: requireCertificates(caCertChain, 'the chain of the CA'),
      roots: requireCertificates(x509Authorities, 'the roots'),
    };
  }

  /** @returns every key of the trust domain */
  async publishJwtAuthority(key: JwtAuthority, signal: AbortSignal): Promise<readonly JwtAuthority[]> {
    const jwtAuthority: JWTKey = { ...key, expiresAt: BigInt(key.expiresAt) };
    const { jwtAuthorities } = await this.#connection.run(({ bundle }) =>
      bundle.publishJWTAuthority({ jwtAuthority }, { signal, deadlineMs: this.#deadlineMs }),
    );
    return jwtAuthorities.map(fromApiJwtAuthority);
  }

  async getBundle(signal: AbortSignal): Promise<Bundle> {
    const answered = await this.#connection.run(({ bundle }) =>
      bundle.getBundle({ outputMask: undefined }, { signal, deadlineMs: this.#deadlineMs }),
    );
    return fromApiBundle(answered, this.#trustDomain);
  }

  [Symbol.dispose](): void {
    this.#connection[Symbol.dispose]();
  }
}

function requireCertificates(ders: readonly Uint8Array[], what: string): readonly Uint8Array[] {
  if (ders.length === 0 || ders.length > MAX_CERTIFICATES) {
    const count = `${ders.length} certificates`;
    throw new SpiffeError(
      'BUNDLE_INVALID',
      `the upper server answered ${count} as ${what}, not 1 to ${MAX_CERTIFICATES}`,
    );
  }
  return ders.map((der, index) => {
    try {
      return parseCertificate(der).der;
    } catch (cause) {
      const reason = messageOf(cause);
      const which = `certificate ${index + 1} of ${what}`;
      throw new SpiffeError('BUNDLE_INVALID', `the upper server answered ${which} that does not parse: ${reason}`, {
        cause,
      });
    }
  });
}
