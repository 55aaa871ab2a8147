import { UpstreamAuthorityDefinition as UpstreamAuthorityService } from '../gen/spire/plugin/server/upstreamauthority/v1/upstreamauthority.ts';
import type { ServiceHandlers } from '../rpc/call.ts';
import { fromWireJwtAuthority, toWireJwtAuthority, toWireX509Authority } from '../rpc/plugin-bundle.ts';
import { bindService } from '../rpc/service.ts';
import type { JwtAuthority, X509Authority } from '../spiffe/bundle.ts';
import { SpiffeError } from '../spiffe/error.ts';
import { Configuration, type ConfigurationOptions } from './configuration.ts';
import type { Plugin } from './plugin.ts';
import type { PluginContext } from './plugin-context.ts';

export interface MintRequest {
  /** PKCS #10, DER. */
  readonly csr: Uint8Array;
  /** 0: as the upstream likes. */
  readonly preferredTtlSeconds: number;
}

export interface MintedX509Ca {
  /** DER each: the new CA first, then what leads up to a root. In the first answer of a stream, and in no other. */
  readonly certificates?: readonly Uint8Array[];
  /** At least one. */
  readonly roots: readonly X509Authority[];
}

export interface UpstreamBundle {
  /** At least one. */
  readonly x509Authorities: readonly X509Authority[];
  readonly jwtAuthorities: readonly JwtAuthority[];
}

/**
 * Each function yields what holds now, at once, and again whenever it changes. It may return after the first: then there
 * are no updates. A host keeps the stream open for hours; `signal` ends it, so wait on nothing without it.
 */
export interface UpstreamAuthorityDefinition<Config, State> extends ConfigurationOptions<Config, State> {
  readonly name: string;
  /** Signs the server's CA. @throws to refuse it */
  mintX509Ca(request: MintRequest, state: State, context: PluginContext): AsyncIterable<MintedX509Ca>;
  /** Publishes a key of the server, and yields all keys of the trust domain. Without it tokens are the server's alone. */
  publishJwtKey?(key: JwtAuthority, state: State, context: PluginContext): AsyncIterable<readonly JwtAuthority[]>;
  /** Yields what the upstream trusts, before and without any minting. */
  subscribeToLocalBundle?(state: State, context: PluginContext): AsyncIterable<UpstreamBundle>;
}

/** Source: `spire.plugin.server.upstreamauthority.v1`. */
export function defineUpstreamAuthority<Config, State>(definition: UpstreamAuthorityDefinition<Config, State>): Plugin {
  return {
    type: 'UpstreamAuthority',
    side: 'server',
    name: definition.name,
    bind(runtime) {
      const configuration = new Configuration(definition, runtime);
      const contextOf = ({ signal }: { readonly signal: AbortSignal }): PluginContext => ({
        ...runtime,
        trustDomain: configuration.current.trustDomain,
        signal,
      });
      const { publishJwtKey, subscribeToLocalBundle } = definition;
      const handlers: Partial<ServiceHandlers<typeof UpstreamAuthorityService>> = {
        async *mintX509CAAndSubscribe({ csr, preferredTtl }, call) {
          const request = { csr, preferredTtlSeconds: preferredTtl };
          const answers = definition.mintX509Ca(request, configuration.current.state, contextOf(call));
          for await (const { certificates = [], roots } of answers) {
            yield {
              x509CaChain: certificates.map((certificate) => ({ asn1: certificate, tainted: false })),
              upstreamX509Roots: roots.map(toWireX509Authority),
            };
          }
        },
        ...(publishJwtKey && {
          async *publishJWTKeyAndSubscribe({ jwtKey }, call) {
            if (jwtKey === undefined) throw new SpiffeError('ARGUMENT_INVALID', 'the JWT key is missing');
            const key = fromWireJwtAuthority(jwtKey);
            const answers = publishJwtKey.call(definition, key, configuration.current.state, contextOf(call));
            for await (const keys of answers) yield { upstreamJwtKeys: keys.map(toWireJwtAuthority) };
          },
        }),
        ...(subscribeToLocalBundle && {
          async *subscribeToLocalBundle(_request, call) {
            const answers = subscribeToLocalBundle.call(definition, configuration.current.state, contextOf(call));
            for await (const { x509Authorities, jwtAuthorities } of answers) {
              yield {
                upstreamX509Roots: x509Authorities.map(toWireX509Authority),
                upstreamJwtKeys: jwtAuthorities.map(toWireJwtAuthority),
              };
            }
          },
        }),
      };
      return [bindService(UpstreamAuthorityService, handlers), configuration.service];
    },
  };
}
