import { join } from 'node:path';
import { AcmeCertificates } from '../../../acme/acme-certificates.ts';
import type { BundleEndpointConfig } from '../../../config/federation-config.ts';
import type { ServerConfig } from '../../../config/server-config.ts';
import { CertificateFiles } from '../../../http/certificate-files.ts';
import { PageServer } from '../../../http/page-server.ts';
import { listenWithTls, type ShownIdentity } from '../../../http/tls-listener.ts';
import type { Logger } from '../../../log/logger.ts';
import type { BundleKeeper } from '../../bundle-keeper.ts';
import type { ServerIdentity } from '../../server-identity.ts';
import { BundlePage } from './bundle-page.ts';
import { shownSvid } from './shown-svid.ts';

export interface BundleEndpointOptions {
  readonly config: ServerConfig;
  readonly bundle: BundleKeeper;
  readonly identity: ServerIdentity;
  readonly log: Logger;
  readonly clock: () => Date;
}

export interface BundleEndpoint extends AsyncDisposable {
  /** As bound. */
  readonly port: number;
}

/** Partners ask a few times an hour, each with one connection; strangers may come too. */
const MAX_CONNECTIONS = 256;
const MAX_CONNECTIONS_PER_ADDRESS = 32;
const SETTING = 'server.federation.bundle_endpoint';

/**
 * Opens the bundle endpoint where one is configured: inventory R066. Disposing closes it and cuts its connections.
 *
 * @throws SpiffeError `SOCKET_UNUSABLE`, `CONFIG_INVALID` for files that cannot be used
 */
export async function openBundleEndpoint(options: BundleEndpointOptions): Promise<BundleEndpoint | undefined> {
  const { config, bundle, log } = options;
  const endpoint = config.federation?.bundleEndpoint;
  if (endpoint === undefined) return undefined;
  await using stack = new AsyncDisposableStack();
  const page = new BundlePage(bundle, endpoint.refreshHintSeconds);
  const server = stack.use(
    new PageServer({
      pages: new Map([['/', async () => page.render()]]),
      directions: 'the bundle is at /',
      log,
      maxConnections: MAX_CONNECTIONS,
    }),
  );
  const shown = await shownIdentity(endpoint, options, stack);
  const acme = shown instanceof AcmeCertificates ? shown : undefined;
  const { port } = stack.use(
    await listenWithTls(shown, {
      host: endpoint.address,
      port: endpoint.port,
      setting: SETTING,
      log,
      maxConnections: 2 * MAX_CONNECTIONS,
      maxConnectionsPerAddress: MAX_CONNECTIONS_PER_ADDRESS,
      requirePqKem: config.experimental.requirePqKem,
      onConnection: server.accept.bind(server),
      ...(acme && { divert: (socket) => acme.challenge.divert(socket) }),
    }),
  );
  acme?.start();
  log.info('the bundle endpoint is open', {
    host: endpoint.address,
    port,
    profile: endpoint.profile.type,
    refresh_hint_seconds: endpoint.refreshHintSeconds,
  });
  const opened = stack.move();
  return { port, [Symbol.asyncDispose]: () => opened.disposeAsync() };
}

async function shownIdentity(
  { profile }: BundleEndpointConfig,
  { config, identity, log, clock }: BundleEndpointOptions,
  stack: AsyncDisposableStack,
): Promise<ShownIdentity | AcmeCertificates> {
  if (profile.type === 'https_spiffe') return shownSvid(identity);
  if ('servingCertFile' in profile) {
    const { certFilePath, keyFilePath, fileSyncIntervalSeconds } = profile.servingCertFile;
    return stack.use(
      await CertificateFiles.open({
        what: 'the bundle endpoint',
        setting: `${SETTING}.profile.https_web.serving_cert_file`,
        keys: { certFile: 'cert_file_path', keyFile: 'key_file_path' },
        certFile: certFilePath,
        keyFile: keyFilePath,
        intervalMs: fileSyncIntervalSeconds * 1000,
        log,
      }),
    );
  }
  return stack.use(
    await AcmeCertificates.open({ config: profile.acme, folder: join(config.dataDir, 'bundle-acme'), log, clock }),
  );
}
