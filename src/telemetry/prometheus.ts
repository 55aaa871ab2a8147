import type { PrometheusConfig, PrometheusTlsConfig } from '../config/telemetry-config.ts';
import { CertificateFiles } from '../http/certificate-files.ts';
import { PageServer } from '../http/page-server.ts';
import { listenInClear, type TcpListener, type TcpListenerOptions } from '../http/tcp-listener.ts';
import { listenWithTls } from '../http/tls-listener.ts';
import type { Logger } from '../log/logger.ts';
import type { SpiffeId } from '../spiffe/spiffe-id.ts';
import { CONTENT_TYPE } from './exposition.ts';
import type { Metrics } from './metrics.ts';

/** What the program does where the endpoint or its clients have X.509-SVIDs. */
export interface SvidListenerOptions extends TcpListenerOptions {
  /** What the endpoint shows; undefined for the program's own X.509-SVID. */
  readonly files: CertificateFiles | undefined;
  /** Whose X.509-SVID a client has to show; none: it need not show any. */
  readonly authorizedIds: readonly SpiffeId[];
}

const PATH = '/metrics';

export interface PrometheusOptions {
  readonly config: PrometheusConfig;
  readonly metrics: Metrics;
  readonly log: Logger;
  listenWithSvids(options: SvidListenerOptions): Promise<TcpListener>;
}

/**
 * Opens the endpoint that Prometheus scrapes: inventory C149. Disposing closes it and cuts its connections.
 *
 * @throws SpiffeError `SOCKET_UNUSABLE`, `CONFIG_INVALID` for files that cannot be used
 */
export async function openPrometheus({
  config: { host, port, tls },
  metrics,
  log,
  listenWithSvids,
}: PrometheusOptions): Promise<AsyncDisposable> {
  await using stack = new AsyncDisposableStack();
  const server = stack.use(
    new PageServer({
      pages: new Map([[PATH, async () => ({ status: 200, contentType: CONTENT_TYPE, text: await metrics.render() })]]),
      directions: `metrics are at ${PATH}`,
      log,
    }),
  );
  const options = { host, port, setting: 'telemetry.Prometheus', log, onConnection: server.accept.bind(server) };
  const files = stack.use(await openFiles(tls, log));
  const { authorizedSpiffeIds: authorizedIds = [], useSpireSvid = false } = tls ?? {};
  const withSvids = useSpireSvid || authorizedIds.length > 0;
  const listener = stack.use(
    withSvids
      ? await listenWithSvids({ ...options, files, authorizedIds })
      : await (files === undefined ? listenInClear(options) : listenWithTls(files, options)),
  );
  log.info('metrics are served', { host, port: listener.port, tls: tls !== undefined });
  if (!isLoopback(host) && authorizedIds.length === 0 && tls?.clientCaFile === undefined) {
    log.warning('metrics are for whoever reaches the port: ask for client certificates, or guard it', { host });
  }
  return stack.move();
}

async function openFiles(tls: PrometheusTlsConfig | undefined, log: Logger): Promise<CertificateFiles | undefined> {
  const { certFile, keyFile, clientCaFile } = tls ?? {};
  if (certFile === undefined || keyFile === undefined) return undefined;
  return await CertificateFiles.open({
    what: 'the metrics endpoint',
    setting: 'telemetry.Prometheus.tls',
    certFile,
    keyFile,
    clientCaFile,
    log,
  });
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\./.test(host);
}
