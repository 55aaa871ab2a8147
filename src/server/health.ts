import { generateKeyPairSync } from 'node:crypto';
import type { ServerConfig } from '../config/server-config.ts';
import type { Datastore } from '../datastore/datastore.ts';
import { BundleDefinition } from '../gen/spire/api/server/bundle/v1/bundle.ts';
import type { HealthCheck } from '../http/health-checks.ts';
import { openHealthEndpoint } from '../http/health-endpoint.ts';
import type { Logger } from '../log/logger.ts';
import type { PluginCatalog } from '../plugin-host/catalog.ts';
import { pluginsCheck } from '../plugin-host/plugins-check.ts';
import { RpcChannel } from '../rpc/channel.ts';
import { createClient } from '../rpc/client.ts';
import { SpiffeError } from '../spiffe/error.ts';
import { parseSpiffeId } from '../spiffe/spiffe-id.ts';
import type { CaManager } from './ca/ca-manager.ts';
import type { SvidIssuer } from './ca/svid-issuer.ts';

export interface ServeHealthOptions {
  readonly config: ServerConfig;
  readonly datastore: Pick<Datastore, 'bundles'>;
  readonly authorities: Pick<CaManager, 'failedRotations'>;
  readonly issuer: Pick<SvidIssuer, 'issueX509'>;
  readonly catalog: Pick<PluginCatalog, 'plugins'>;
  readonly log: Logger;
}

const CALL_DEADLINE_MS = 5_000;
const SVID_TTL_SECONDS = 60;
/** A rotation is tried again every few seconds; SPIRE's limit. */
const MOST_FAILED_ROTATIONS = 10;

/** Opens the endpoint for live and ready where one is configured. The endpoints of the API are open by then. */
export async function serveHealth(options: ServeHealthOptions): Promise<AsyncDisposable | undefined> {
  const { config, catalog, log } = options;
  const checks = [...serverChecks(options), pluginsCheck(() => catalog.plugins)];
  return await openHealthEndpoint({ config: config.healthChecks, checks, log });
}

/** With SPIRE's names. */
function serverChecks(options: ServeHealthOptions): readonly HealthCheck[] {
  const { config, datastore, authorities, issuer } = options;
  const spiffeId = parseSpiffeId(`spiffe://${config.trustDomain}/for/health/check/only`);
  const publicKey = throwawayPublicKey();
  return [
    {
      name: 'server',
      reasonKey: 'get_bundle_err',
      check: async () => {
        using channel = RpcChannel.unix(config.socketPath); // a new one, as an administrator has
        const api = createClient(BundleDefinition, channel);
        await api.getBundle({ outputMask: undefined }, { deadlineMs: CALL_DEADLINE_MS }).catch((cause: unknown) => {
          const reason = 'the bundle cannot be had from the admin socket: see the log';
          throw new SpiffeError('SOCKET_UNUSABLE', reason, { cause });
        });
      },
    },
    {
      name: 'server.ca',
      reasonKey: 'sign_x509_svid_err',
      check: async () => {
        await issuer.issueX509({ spiffeId, publicKey, dnsNames: [], ttlSeconds: SVID_TTL_SECONDS });
      },
    },
    {
      name: 'server.ca.rotator',
      reasonKey: 'rotation_err',
      check: async () => {
        const failures = authorities.failedRotations;
        if (failures <= MOST_FAILED_ROTATIONS) return;
        throw new SpiffeError(
          'FAILED_PRECONDITION',
          `the authorities could not be rotated, ${failures} times: see the log`,
        );
      },
    },
    {
      name: 'catalog.datastore',
      reasonKey: 'list_bundle_err',
      check: async () => {
        await datastore.bundles.count();
      },
    },
  ];
}

/** Nobody keeps the private key: what is signed is of no use. */
function throwawayPublicKey(): Uint8Array {
  const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return new Uint8Array(publicKey.export({ type: 'spki', format: 'der' }));
}
