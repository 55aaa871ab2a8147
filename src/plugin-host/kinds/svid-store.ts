import { SVIDStoreDefinition } from '../../gen/spire/plugin/agent/svidstore/v1/svidstore.ts';
import { RemoteError } from '../../rpc/status.ts';
import { SpiffeError } from '../../spiffe/error.ts';
import type { SpiffeId } from '../../spiffe/spiffe-id.ts';
import { Status } from '../../spiffe/status.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';
import { type Plugin, PluginService } from '../plugin.ts';

/** Keeps X509-SVIDs outside of the agent, for those who cannot reach the Workload API. */
export interface SvidStore {
  readonly name: string;
  putX509Svid(stored: StoredX509Svid, signal: AbortSignal): Promise<void>;
  /**
   * @param metadata that it was put with.
   * Resolves too where the plugin cannot make anything of the metadata: there is nothing that it could delete.
   */
  deleteX509Svid(metadata: readonly string[], signal: AbortSignal): Promise<void>;
}

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
  /** X.509 authorities of the trust domains that it federates with, DER each. */
  readonly federatedBundles: ReadonlyMap<TrustDomain, readonly Uint8Array[]>;
}

/** SPIRE has none of its own. */
const DEADLINE_MS = 60_000;

/** @see plugin-wire §8.8 */
export function createSvidStore(plugin: Plugin): SvidStore {
  return {
    name: plugin.name,
    putX509Svid: async (stored, signal) => {
      const request = toPutRequest(stored);
      await plugin.run(
        (generation) => service.of(generation).putX509SVID(request, { signal, deadlineMs: DEADLINE_MS }),
        { repeatable: true, signal },
      );
    },
    deleteX509Svid: async (metadata, signal) => {
      const request = { metadata: [...metadata] };
      await plugin.run(
        async (generation) => {
          try {
            await service.of(generation).deleteX509SVID(request, { signal, deadlineMs: DEADLINE_MS });
          } catch (error) {
            if (!(error instanceof RemoteError && error.status === Status.InvalidArgument)) throw error;
          }
        },
        { repeatable: true, signal },
      );
    },
  };
}

const service = new PluginService(SVIDStoreDefinition);

function toPutRequest(stored: StoredX509Svid) {
  const { spiffeId, certificates, privateKey, bundle, expiresAt, metadata, federatedBundles } = stored;
  if (certificates.length === 0)
    throw new SpiffeError('ARGUMENT_INVALID', `the SVID of ${spiffeId} has no certificate`);
  return {
    svid: {
      spiffeID: spiffeId,
      certChain: [...certificates],
      privateKey,
      bundle: [...bundle],
      expiresAt: BigInt(expiresAt),
    },
    metadata: [...metadata],
    federatedBundles: Object.fromEntries(
      [...federatedBundles].map(([trustDomain, authorities]) => [
        `spiffe://${trustDomain}`,
        Buffer.concat(authorities),
      ]),
    ),
  };
}
