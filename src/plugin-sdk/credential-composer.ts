import {
  CredentialComposerDefinition as CredentialComposerService,
  type X509SVIDAttributes as WireX509SvidAttributes,
} from '../gen/spire/plugin/server/credentialcomposer/v1/credentialcomposer.ts';
import type { CallContext, ServiceHandlers } from '../rpc/call.ts';
import {
  fromWireX509CaAttributes,
  fromWireX509SvidAttributes,
  toWireClaims,
  toWireX509CaAttributes,
  toWireX509SvidAttributes,
} from '../rpc/plugin-credentials.ts';
import { bindService } from '../rpc/service.ts';
import type { JwtSvidAttributes, X509CaAttributes, X509SvidAttributes } from '../spiffe/credential-attributes.ts';
import { SpiffeError } from '../spiffe/error.ts';
import { parseSpiffeId, type SpiffeId } from '../spiffe/spiffe-id.ts';
import { Configuration, type ConfigurationOptions } from './configuration.ts';
import type { Plugin } from './plugin.ts';
import type { PluginContext } from './plugin-context.ts';

/** Whom an X509-SVID is for. */
export interface SvidSubject {
  readonly spiffeId: SpiffeId;
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKey: Uint8Array;
}

/**
 * Each function gets the attributes as they stand, and returns what they shall be, all of them; undefined leaves them.
 * A function that is not there leaves them too. A throw refuses the credential.
 */
export interface CredentialComposerDefinition<Config, State> extends ConfigurationOptions<Config, State> {
  readonly name: string;
  composeServerX509Ca?(
    attributes: X509CaAttributes,
    state: State,
    context: PluginContext,
  ): Promise<X509CaAttributes | undefined>;
  composeServerX509Svid?(
    attributes: X509SvidAttributes,
    state: State,
    context: PluginContext,
  ): Promise<X509SvidAttributes | undefined>;
  composeAgentX509Svid?(
    of: SvidSubject,
    attributes: X509SvidAttributes,
    state: State,
    context: PluginContext,
  ): Promise<X509SvidAttributes | undefined>;
  composeWorkloadX509Svid?(
    of: SvidSubject,
    attributes: X509SvidAttributes,
    state: State,
    context: PluginContext,
  ): Promise<X509SvidAttributes | undefined>;
  /** Numbers of the claims are 64-bit floating point numbers. */
  composeWorkloadJwtSvid?(
    spiffeId: SpiffeId,
    attributes: JwtSvidAttributes,
    state: State,
    context: PluginContext,
  ): Promise<JwtSvidAttributes | undefined>;
}

type Handlers = Partial<ServiceHandlers<typeof CredentialComposerService>>;

/** Source: `spire.plugin.server.credentialcomposer.v1`. */
export function defineCredentialComposer<Config, State>(
  definition: CredentialComposerDefinition<Config, State>,
): Plugin {
  return {
    type: 'CredentialComposer',
    side: 'server',
    name: definition.name,
    bind(runtime) {
      const configuration = new Configuration(definition, runtime);
      const surroundings = ({ signal }: CallContext): [State, PluginContext] => {
        const { state, trustDomain } = configuration.current;
        return [state, { ...runtime, trustDomain, signal }];
      };
      return [bindService(CredentialComposerService, handlersOf(definition, surroundings)), configuration.service];
    },
  };
}

function handlersOf<Config, State>(
  definition: CredentialComposerDefinition<Config, State>,
  surroundings: (call: CallContext) => [State, PluginContext],
): Handlers {
  const { composeServerX509Ca, composeServerX509Svid, composeAgentX509Svid } = definition;
  const { composeWorkloadX509Svid, composeWorkloadJwtSvid } = definition;
  return {
    ...(composeServerX509Ca && {
      async composeServerX509CA({ attributes }, call) {
        const given = fromWireX509CaAttributes(requirePresent(attributes));
        const composed = await composeServerX509Ca.call(definition, given, ...surroundings(call));
        return { attributes: composed && toWireX509CaAttributes(composed) };
      },
    }),
    ...(composeServerX509Svid && {
      async composeServerX509SVID({ attributes }, call) {
        const composed = await composeServerX509Svid.call(definition, toSvid(attributes), ...surroundings(call));
        return { attributes: composed && toWireX509SvidAttributes(composed) };
      },
    }),
    ...(composeAgentX509Svid && {
      async composeAgentX509SVID({ attributes, ...of }, call) {
        const given = toSvid(attributes);
        const composed = await composeAgentX509Svid.call(definition, toSubject(of), given, ...surroundings(call));
        return { attributes: composed && toWireX509SvidAttributes(composed) };
      },
    }),
    ...(composeWorkloadX509Svid && {
      async composeWorkloadX509SVID({ attributes, ...of }, call) {
        const given = toSvid(attributes);
        const composed = await composeWorkloadX509Svid.call(definition, toSubject(of), given, ...surroundings(call));
        return { attributes: composed && toWireX509SvidAttributes(composed) };
      },
    }),
    ...(composeWorkloadJwtSvid && {
      async composeWorkloadJWTSVID({ attributes, spiffeId }, call) {
        const { claims = {} } = requirePresent(attributes);
        const id = parseSpiffeId(spiffeId);
        const composed = await composeWorkloadJwtSvid.call(definition, id, { claims }, ...surroundings(call));
        return { attributes: composed && { claims: toWireClaims(composed.claims) } };
      },
    }),
  };
}

function toSvid(attributes: WireX509SvidAttributes | undefined): X509SvidAttributes {
  return fromWireX509SvidAttributes(requirePresent(attributes));
}

function toSubject({
  spiffeId,
  publicKey,
}: {
  readonly spiffeId: string;
  readonly publicKey: Uint8Array;
}): SvidSubject {
  return { spiffeId: parseSpiffeId(spiffeId), publicKey };
}

function requirePresent<Attributes>(attributes: Attributes | undefined): Attributes {
  if (attributes === undefined) throw new SpiffeError('ARGUMENT_INVALID', 'the attributes are missing');
  return attributes;
}
