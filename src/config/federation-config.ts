import { z } from 'zod';
import { isSpiffeError } from '../spiffe/error.ts';
import type { SpiffeId } from '../spiffe/spiffe-id.ts';
import { parseTrustDomain, type TrustDomain } from '../spiffe/trust-domain.ts';
import {
  duration,
  flag,
  onEveryBlock,
  optionalText,
  orUnset,
  requiredPort,
  requiredText,
  spiffeIdText,
} from './fields.ts';

/** Source: inventory C013, C056 to C068. */
export interface FederationConfig {
  readonly bundleEndpoint: BundleEndpointConfig | undefined;
  readonly federatesWith: readonly FederatesWithConfig[];
}

export interface BundleEndpointConfig {
  readonly address: string;
  readonly port: number;
  readonly refreshHintSeconds: number;
  readonly profile: BundleEndpointProfile;
  /** What an operator should change, although it works. */
  readonly deprecations: readonly string[];
}

export type BundleEndpointProfile =
  | { readonly type: 'https_spiffe' }
  | { readonly type: 'https_web'; readonly acme: AcmeConfig }
  | { readonly type: 'https_web'; readonly servingCertFile: ServingCertFileConfig };

export interface AcmeConfig {
  readonly directoryUrl: string;
  /** Of one certificate, one at least. */
  readonly domainNames: readonly string[];
  readonly email: string;
  readonly tosAccepted: boolean;
}

export interface ServingCertFileConfig {
  readonly certFilePath: string;
  readonly keyFilePath: string;
  readonly fileSyncIntervalSeconds: number;
}

export interface FederatesWithConfig {
  readonly trustDomain: TrustDomain;
  readonly bundleEndpointUrl: string;
  readonly profile:
    | { readonly type: 'https_web' }
    | { readonly type: 'https_spiffe'; readonly endpointSpiffeId: SpiffeId };
}

export const LETS_ENCRYPT = 'https://acme-v02.api.letsencrypt.org/directory';

const acme = z
  .strictObject({ directory_url: optionalText, domain_name: requiredText, email: requiredText, tos_accepted: flag })
  .transform(
    (raw): AcmeConfig => ({
      directoryUrl: raw.directory_url ?? LETS_ENCRYPT,
      domainNames: [raw.domain_name],
      email: raw.email,
      tosAccepted: raw.tos_accepted,
    }),
  );

const servingCertFile = z
  .strictObject({ cert_file_path: requiredText, key_file_path: requiredText, file_sync_interval: orUnset(duration) })
  .transform(
    (raw): ServingCertFileConfig => ({
      certFilePath: raw.cert_file_path,
      keyFilePath: raw.key_file_path,
      fileSyncIntervalSeconds: raw.file_sync_interval || 3600,
    }),
  );

const httpsWeb = z
  .strictObject({ acme: acme.optional(), serving_cert_file: servingCertFile.optional() })
  .transform((raw, ctx): BundleEndpointProfile => {
    if (raw.acme && raw.serving_cert_file) ctx.addIssue('only one of acme and serving_cert_file can be used');
    if (raw.acme) return { type: 'https_web', acme: raw.acme };
    if (raw.serving_cert_file) return { type: 'https_web', servingCertFile: raw.serving_cert_file };
    ctx.addIssue('needs a block "acme" or "serving_cert_file"');
    return z.NEVER;
  });

const ONE_PROFILE = 'must be exactly one of "https_web" and "https_spiffe"';

const servedProfile = z
  .strictObject({ https_web: httpsWeb.optional(), https_spiffe: z.strictObject({}).optional() })
  .transform((raw, ctx): BundleEndpointProfile => {
    if ((raw.https_web === undefined) === (raw.https_spiffe === undefined)) ctx.addIssue(ONE_PROFILE);
    return raw.https_web ?? { type: 'https_spiffe' };
  });

const bundleEndpoint = z
  .strictObject({
    address: optionalText,
    port: requiredPort,
    refresh_hint: orUnset(duration),
    acme: acme.optional(),
    profile: servedProfile.optional(),
  })
  .superRefine((raw, ctx) => {
    if (raw.acme && raw.profile) ctx.addIssue('only one of acme and profile can be used');
  }, onEveryBlock)
  .transform(
    (raw): BundleEndpointConfig => ({
      address: raw.address ?? '0.0.0.0',
      port: raw.port,
      refreshHintSeconds: raw.refresh_hint ?? 300,
      profile: raw.profile ?? (raw.acme ? { type: 'https_web', acme: raw.acme } : { type: 'https_spiffe' }),
      deprecations: deprecationsOf(raw.acme !== undefined, raw.profile !== undefined),
    }),
  );

function deprecationsOf(hasAcme: boolean, hasProfile: boolean): readonly string[] {
  if (hasAcme) return ['federation.bundle_endpoint.acme is deprecated: move it into profile "https_web"'];
  if (!hasProfile) return ['federation.bundle_endpoint has no profile: "https_spiffe" is taken, write it down'];
  return [];
}

const askedProfile = z
  .strictObject({
    https_web: z.strictObject({}).optional(),
    https_spiffe: z.strictObject({ endpoint_spiffe_id: spiffeIdText }).optional(),
  })
  .transform((raw, ctx): FederatesWithConfig['profile'] => {
    if ((raw.https_web === undefined) === (raw.https_spiffe === undefined)) ctx.addIssue(ONE_PROFILE);
    return raw.https_spiffe
      ? { type: 'https_spiffe', endpointSpiffeId: raw.https_spiffe.endpoint_spiffe_id }
      : { type: 'https_web' };
  });

const federatesWith = z.strictObject({
  bundle_endpoint_url: requiredText.refine((url) => isHttpsUrl(url), {
    error: 'must be a URL that starts with https://',
  }),
  bundle_endpoint_profile: askedProfile,
});

function isHttpsUrl(text: unknown): boolean {
  return typeof text === 'string' && URL.canParse(text) && new URL(text).protocol === 'https:';
}

export const federationConfig = z
  .strictObject({
    bundle_endpoint: bundleEndpoint.optional(),
    federates_with: z.record(z.string(), federatesWith).default({}),
  })
  .transform((raw, ctx): FederationConfig => {
    const relationships: FederatesWithConfig[] = [];
    for (const [name, relationship] of Object.entries(raw.federates_with)) {
      try {
        relationships.push({
          trustDomain: parseTrustDomain(name),
          bundleEndpointUrl: relationship.bundle_endpoint_url,
          profile: relationship.bundle_endpoint_profile,
        });
      } catch (error) {
        if (!isSpiffeError(error)) throw error;
        ctx.addIssue({ code: 'custom', path: ['federates_with', name], message: error.message });
      }
    }
    return { bundleEndpoint: raw.bundle_endpoint, federatesWith: relationships };
  });
