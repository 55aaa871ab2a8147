import type { BundleEndpointConfig } from '../../../config/federation-config.ts';
import type { ServerConfig } from '../../../config/server-config.ts';
import { CertificateFiles } from '../../../http/certificate-files.ts';
import { PageServer } from '../../../http/page-server.ts';
import { listenWithTls, type ShownIdentity } from '../../../http/tls-listener.ts';
import type { Logger } from '../../../log/logger.ts';
import { SpiffeError } from '../../../spiffe/error.ts';
import type { BundleKeeper } from '../../bundle-keeper.ts';
import type { ServerIdentity } from '../../server-identity.ts';
import { BundlePage } from './bundle-page.ts';
import { shownSvid } from './shown-svid.ts';

export interface BundleEndpointOptions {
  readonly config: ServerConfig;
  readonly bundle: BundleKeeper;
  readonly identity: ServerIdentity;
  readonly log: Logger;
}

export interface BundleEndpoint extends AsyncDisposable {
  /** As bound. */
  readonly port: number;
}

/** Partners ask a few times an hour, each with one connection; strangers may come too. */
const MAX_CONNECTIONS = 256;
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
  const { port } = stack.use(
    await listenWithTls(await shownIdentity(endpoint, options, stack), {
      host: endpoint.address,
      port: endpoint.port,
      setting: SETTING,
      log,
      maxConnections: 2 * MAX_CONNECTIONS,
      requirePqKem: config.experimental.requirePqKem,
      onConnection: server.accept.bind(server),
    }),
  );
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
  { identity, log }: BundleEndpointOptions,
  stack: AsyncDisposableStack,
): Promise<ShownIdentity> {
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
  throw new SpiffeError(
    'CONFIG_INVALID',
    `${SETTING}.profile.https_web.acme: this version takes serving_cert_file only`,
  );
}
