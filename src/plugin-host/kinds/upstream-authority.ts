import {
  type MintX509CAResponse,
  type PublishJWTKeyResponse,
  type SubscribeToLocalBundleResponse,
  UpstreamAuthorityDefinition,
} from '../../gen/spire/plugin/server/upstreamauthority/v1/upstreamauthority.ts';
import type { JWTKey, X509Certificate } from '../../gen/spire/plugin/types/types.ts';
import type { Logger } from '../../log/logger.ts';
import { fromWireJwtAuthority, fromWireX509Authority, toWireJwtAuthority } from '../../rpc/plugin-bundle.ts';
import { RemoteError } from '../../rpc/status.ts';
import type { JwtAuthority, X509Authority } from '../../spiffe/bundle.ts';
import { messageOf, SpiffeError } from '../../spiffe/error.ts';
import { Status } from '../../spiffe/status.ts';
import { parseCertificate } from '../../x509/certificate.ts';
import { publicKeyOfSpki } from '../../x509/spki.ts';
import { type Plugin, PluginService } from '../plugin.ts';
import { type Subscription, subscribe } from '../subscription.ts';

/** A PKI above the server's own CA. Every subscription lasts until it is disposed of, the signal or the plugin ends it. */
export interface UpstreamAuthority {
  readonly name: string;
  /** Has the server's CA signed. The updates are the roots, whenever they change. */
  mintX509Ca(request: MintRequest, signal: AbortSignal): Promise<Subscription<MintedX509Ca, readonly X509Authority[]>>;
  /**
   * Publishes a key of the server for the whole trust domain; every value is all keys of the trust domain.
   *
   * @returns undefined where the plugin has no such thing: the key stays in the server's own bundle. The log says so once.
   */
  publishJwtKey(key: JwtAuthority, signal: AbortSignal): Promise<Subscription<readonly JwtAuthority[]> | undefined>;
  /** @returns undefined where the plugin has no such thing. */
  subscribeToLocalBundle(signal: AbortSignal): Promise<Subscription<UpstreamBundle> | undefined>;
}

export interface MintRequest {
  /** PKCS #10, DER. */
  readonly csr: Uint8Array;
  /** 0: as the upstream likes. */
  readonly preferredTtlSeconds: number;
}

export interface MintedX509Ca {
  /** DER each: the new CA first, then what leads up to a root. */
  readonly certificates: readonly Uint8Array[];
  /** At least one. */
  readonly roots: readonly X509Authority[];
}

export interface UpstreamBundle {
  /** At least one. */
  readonly x509Authorities: readonly X509Authority[];
  readonly jwtAuthorities: readonly JwtAuthority[];
}

const MAX_CERTIFICATES = 1_000;
const MAX_JWT_KEYS = 10_000;
const MAX_TTL_SECONDS = 2 ** 31 - 1;

const service = new PluginService(UpstreamAuthorityDefinition);

/**
 * @param log gets the updates that are skipped, being bad.
 * @see plugin-wire §8.4
 */
export function createUpstreamAuthority(plugin: Plugin, log: Logger): UpstreamAuthority {
  let saidThatKeysStay = false;
  return {
    name: plugin.name,
    mintX509Ca: async ({ csr, preferredTtlSeconds }, signal) => {
      const preferredTtl = Math.min(Math.trunc(preferredTtlSeconds), MAX_TTL_SECONDS);
      return await subscribe(plugin, {
        open: (generation) => service.of(generation).mintX509CAAndSubscribe({ csr, preferredTtl }, { signal }),
        repeatable: false, // a second CA would be made
        signal,
        parseFirst: parseMinted,
        parseUpdate: parseMintUpdate,
        log,
      });
    },
    publishJwtKey: async (key, signal) => {
      const request = { jwtKey: toWireJwtAuthority(key) };
      const subscription = await unlessUnimplemented(
        subscribe(plugin, {
          open: (generation) => service.of(generation).publishJWTKeyAndSubscribe(request, { signal }),
          repeatable: true,
          signal,
          parseFirst: parseJwtKeys,
          parseUpdate: parseJwtKeys,
          log,
        }),
      );
      if (subscription === undefined && !saidThatKeysStay) {
        saidThatKeysStay = true;
        log.warning('upstream authority takes no JWT keys: tokens are valid in the trust domain of this server alone');
      }
      return subscription;
    },
    subscribeToLocalBundle: (signal) =>
      unlessUnimplemented(
        subscribe(plugin, {
          open: (generation) => service.of(generation).subscribeToLocalBundle({}, { signal }),
          repeatable: true,
          signal,
          parseFirst: parseLocalBundle,
          parseUpdate: parseLocalBundle,
          log,
        }),
      ),
  };
}

async function unlessUnimplemented<Result>(call: Promise<Result>): Promise<Result | undefined> {
  try {
    return await call;
  } catch (error) {
    if (error instanceof RemoteError && error.status === Status.Unimplemented) return undefined;
    throw error;
  }
}

function parseMinted({ x509CaChain, upstreamX509Roots }: MintX509CAResponse): MintedX509Ca {
  if (x509CaChain.length === 0) refuse('answered no certificate for the CA');
  const certificates = x509CaChain.map((certificate) => fromWireX509Authority(certificate).certificate);
  requireCertificates(certificates, 'the chain of the CA');
  return { certificates, roots: parseRoots(upstreamX509Roots) };
}

function parseMintUpdate({ x509CaChain, upstreamX509Roots }: MintX509CAResponse): readonly X509Authority[] {
  if (x509CaChain.length > 0) refuse('answered another certificate for the CA after the first');
  return parseRoots(upstreamX509Roots);
}

function parseJwtKeys({ upstreamJwtKeys }: PublishJWTKeyResponse): readonly JwtAuthority[] {
  return parseKeys(upstreamJwtKeys);
}

function parseLocalBundle(response: SubscribeToLocalBundleResponse): UpstreamBundle {
  return {
    x509Authorities: parseRoots(response.upstreamX509Roots),
    jwtAuthorities: parseKeys(response.upstreamJwtKeys),
  };
}

function parseRoots(wire: readonly X509Certificate[]): readonly X509Authority[] {
  if (wire.length === 0) refuse('answered no root certificate');
  const roots = wire.map(fromWireX509Authority);
  requireCertificates(
    roots.map(({ certificate }) => certificate),
    'the roots',
  );
  return roots;
}

function parseKeys(wire: readonly JWTKey[]): readonly JwtAuthority[] {
  if (wire.length > MAX_JWT_KEYS) refuse(`answered ${wire.length} JWT keys, more than ${MAX_JWT_KEYS}`);
  return wire.map((key) => {
    try {
      const authority = fromWireJwtAuthority(key);
      publicKeyOfSpki(authority.publicKey);
      return authority;
    } catch (cause) {
      return refuse(`answered a JWT key that does not parse: ${messageOf(cause)}`, cause);
    }
  });
}

function requireCertificates(certificates: readonly Uint8Array[], what: string): void {
  if (certificates.length > MAX_CERTIFICATES) {
    refuse(`answered ${certificates.length} certificates as ${what}, more than ${MAX_CERTIFICATES}`);
  }
  for (const [index, certificate] of certificates.entries()) {
    try {
      parseCertificate(certificate);
    } catch (cause) {
      refuse(`answered certificate ${index + 1} of ${what} that does not parse: ${messageOf(cause)}`, cause);
    }
  }
}

function refuse(what: string, cause?: unknown): never {
  throw new SpiffeError('PLUGIN_PROTOCOL', `the plugin ${what}`, { cause });
}
