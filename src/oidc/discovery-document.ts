/** Where a relying party finds what. */
export interface DiscoveryDocumentOptions {
  /** The provider as the relying party called it: scheme and host, and a port where it named one. */
  readonly origin: string;
  readonly pathPrefix: string;
  readonly issuer: string | undefined;
  readonly jwksUri: string | undefined;
}

/** What the keys of a provider may be. */
const ALGORITHMS = ['RS256', 'ES256', 'ES384'];

/**
 * OpenID Connect Discovery 1.0 §3, with what it asks for: there is no authorization endpoint, as nobody logs in here.
 *
 * With `jwt_issuer` and without `jwks_uri` the keys are below the issuer, as SPIRE's provider has it.
 */
export function formatDiscoveryDocument({ origin, pathPrefix, issuer, jwksUri }: DiscoveryDocumentOptions): string {
  const base = issuer ?? `${origin}${pathPrefix}`;
  const document = {
    issuer: base,
    jwks_uri: jwksUri ?? `${base.replace(/\/$/, '')}/keys`,
    authorization_endpoint: '',
    response_types_supported: ['id_token'],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: ALGORITHMS,
  };
  return `${JSON.stringify(document, null, 2)}\n`;
}
