import { CredentialComposerDefinition } from '../../gen/spire/plugin/server/credentialcomposer/v1/credentialcomposer.ts';
import type { CallOptions, Client } from '../../rpc/client.ts';
import {
  fromWireX509CaAttributes,
  fromWireX509SvidAttributes,
  toWireClaims,
  toWireX509CaAttributes,
  toWireX509SvidAttributes,
} from '../../rpc/plugin-credentials.ts';
import { RemoteError } from '../../rpc/status.ts';
import type { JwtSvidAttributes, X509CaAttributes, X509SvidAttributes } from '../../spiffe/credential-attributes.ts';
import { messageOf, SpiffeError } from '../../spiffe/error.ts';
import type { SpiffeId } from '../../spiffe/spiffe-id.ts';
import { Status } from '../../spiffe/status.ts';
import { type Plugin, PluginService } from '../plugin.ts';

/** Has a say in what the server's certificates and tokens contain. Each call answers all attributes, changed or not. */
export interface CredentialComposer {
  readonly name: string;
  composeServerX509Ca(attributes: X509CaAttributes, signal: AbortSignal): Promise<X509CaAttributes>;
  composeServerX509Svid(attributes: X509SvidAttributes, signal: AbortSignal): Promise<X509SvidAttributes>;
  composeAgentX509Svid(
    of: SvidSubject,
    attributes: X509SvidAttributes,
    signal: AbortSignal,
  ): Promise<X509SvidAttributes>;
  composeWorkloadX509Svid(
    of: SvidSubject,
    attributes: X509SvidAttributes,
    signal: AbortSignal,
  ): Promise<X509SvidAttributes>;
  /** Numbers of the claims come back as the nearest 64-bit floating point number. */
  composeWorkloadJwtSvid(
    spiffeId: SpiffeId,
    attributes: JwtSvidAttributes,
    signal: AbortSignal,
  ): Promise<JwtSvidAttributes>;
}

/** Whom an X509-SVID is for. */
export interface SvidSubject {
  readonly spiffeId: SpiffeId;
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKey: Uint8Array;
}

/** SPIRE has none of its own; every signature of the server waits for it. */
const DEADLINE_MS = 30_000;

/** @see plugin-wire §8.7 */
export function createCredentialComposer(plugin: Plugin): CredentialComposer {
  const compose = <Wire, Attributes>(
    given: Attributes,
    call: (client: ComposerClient, options: CallOptions) => Promise<{ readonly attributes: Wire | undefined }>,
    parse: (attributes: Wire) => Attributes,
    signal: AbortSignal,
  ): Promise<Attributes> =>
    plugin.run(
      async (generation) => {
        try {
          const { attributes } = await call(service.of(generation), { signal, deadlineMs: DEADLINE_MS });
          return attributes === undefined ? given : requireGood(attributes, parse);
        } catch (error) {
          if (error instanceof RemoteError && error.status === Status.Unimplemented) return given;
          throw error;
        }
      },
      { repeatable: true, signal },
    );
  return {
    name: plugin.name,
    composeServerX509Ca: (given, signal) => {
      const request = { attributes: toWireX509CaAttributes(given) };
      return compose(
        given,
        (client, options) => client.composeServerX509CA(request, options),
        fromWireX509CaAttributes,
        signal,
      );
    },
    composeServerX509Svid: (given, signal) => {
      const request = { attributes: toWireX509SvidAttributes(given) };
      return compose(
        given,
        (client, options) => client.composeServerX509SVID(request, options),
        fromWireX509SvidAttributes,
        signal,
      );
    },
    composeAgentX509Svid: (of, given, signal) => {
      const request = { ...of, attributes: toWireX509SvidAttributes(given) };
      return compose(
        given,
        (client, options) => client.composeAgentX509SVID(request, options),
        fromWireX509SvidAttributes,
        signal,
      );
    },
    composeWorkloadX509Svid: (of, given, signal) => {
      const request = { ...of, attributes: toWireX509SvidAttributes(given) };
      return compose(
        given,
        (client, options) => client.composeWorkloadX509SVID(request, options),
        fromWireX509SvidAttributes,
        signal,
      );
    },
    composeWorkloadJwtSvid: (spiffeId, given, signal) => {
      const request = { spiffeId, attributes: { claims: toWireClaims(given.claims) } };
      return compose(
        given,
        (client, options) => client.composeWorkloadJWTSVID(request, options),
        parseJwtAttributes,
        signal,
      );
    },
  };
}

const service = new PluginService(CredentialComposerDefinition);

type ComposerClient = Client<typeof CredentialComposerDefinition>;

function parseJwtAttributes({ claims }: { readonly claims: Record<string, unknown> | undefined }): JwtSvidAttributes {
  if (claims === undefined) throw new SpiffeError('ARGUMENT_INVALID', 'the claims are missing');
  return { claims };
}

function requireGood<Wire, Attributes>(attributes: Wire, parse: (attributes: Wire) => Attributes): Attributes {
  try {
    return parse(attributes);
  } catch (cause) {
    const reason = messageOf(cause);
    throw new SpiffeError('PLUGIN_PROTOCOL', `the plugin answered attributes that cannot be used: ${reason}`, {
      cause,
    });
  }
}
