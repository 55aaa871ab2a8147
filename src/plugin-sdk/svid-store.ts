import {
  type PutX509SVIDRequest,
  SVIDStoreDefinition as SvidStoreService,
} from '../gen/spire/plugin/agent/svidstore/v1/svidstore.ts';
import { bindService } from '../rpc/service.ts';
import { SpiffeError } from '../spiffe/error.ts';
import { parseSpiffeId, type SpiffeId } from '../spiffe/spiffe-id.ts';
import { Configuration, type ConfigurationOptions } from './configuration.ts';
import type { Plugin } from './plugin.ts';
import type { PluginContext } from './plugin-context.ts';

/** An X509-SVID to be stored, with all that its user needs. */
export interface StoredX509Svid {
  readonly spiffeId: SpiffeId;
  /** DER each, leaf first. */
  readonly certificates: readonly Uint8Array[];
  /** PKCS #8, DER. */
  readonly privateKey: Uint8Array;
  /** X.509 authorities of its own trust domain, DER each. */
  readonly bundle: readonly Uint8Array[];
  /** Unix seconds. */
  readonly expiresAt: number;
  /** The values of the entry's selectors: they say where to put it. */
  readonly metadata: readonly string[];
  /** By trust domain ID, `spiffe://…`: X.509 authorities, DER certificates in a row. */
  readonly federatedBundles: ReadonlyMap<string, Uint8Array>;
}

export interface SvidStoreDefinition<Config, State> extends ConfigurationOptions<Config, State> {
  readonly name: string;
  /** Stores it, over the one that the same metadata named before. A throw has the agent try again. */
  putX509Svid(stored: StoredX509Svid, state: State, context: PluginContext): Promise<void>;
  /**
   * Deletes what was put with this metadata. A throw has the agent try again, but for `ARGUMENT_INVALID`: there is
   * nothing that could be deleted.
   */
  deleteX509Svid(metadata: readonly string[], state: State, context: PluginContext): Promise<void>;
}

/** Source: `spire.plugin.agent.svidstore.v1`. */
export function defineSvidStore<Config, State>(definition: SvidStoreDefinition<Config, State>): Plugin {
  return {
    type: 'SVIDStore',
    side: 'agent',
    name: definition.name,
    bind(runtime) {
      const configuration = new Configuration(definition, runtime);
      const service = bindService(SvidStoreService, {
        async putX509SVID(request, { signal }) {
          const { state, trustDomain } = configuration.current;
          await definition.putX509Svid(toStored(request), state, { ...runtime, trustDomain, signal });
          return {};
        },
        async deleteX509SVID({ metadata }, { signal }) {
          const { state, trustDomain } = configuration.current;
          await definition.deleteX509Svid(metadata, state, { ...runtime, trustDomain, signal });
          return {};
        },
      });
      return [service, configuration.service];
    },
  };
}

function toStored({ svid, metadata, federatedBundles }: PutX509SVIDRequest): StoredX509Svid {
  if (svid === undefined) throw new SpiffeError('ARGUMENT_INVALID', 'the SVID is missing');
  return {
    spiffeId: parseSpiffeId(svid.spiffeID),
    certificates: svid.certChain,
    privateKey: svid.privateKey,
    bundle: svid.bundle,
    expiresAt: Number(svid.expiresAt),
    metadata,
    federatedBundles: new Map(Object.entries(federatedBundles)),
  };
}
