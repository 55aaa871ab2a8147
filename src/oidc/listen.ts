import { AcmeCertificates } from '../acme/acme-certificates.ts';
import type { OidcListen, TcpAddress } from '../config/oidc-config.ts';
import { CertificateFiles } from '../http/certificate-files.ts';
import type { PageServer } from '../http/page-server.ts';
import { listenInClear } from '../http/tcp-listener.ts';
import { listenWithTls } from '../http/tls-listener.ts';
import type { Logger } from '../log/logger.ts';
import { listenUnix } from '../rpc/unix-listener.ts';

export interface ListenOptions {
  readonly log: Logger;
  readonly clock: () => Date;
  readonly maxConnections: number;
}

/** Disposing closes it and cuts its connections. */
export interface Listening extends AsyncDisposable {
  readonly port: number | undefined;
  /** For the log. */
  readonly place: Readonly<Record<string, string | number>>;
}

/** A web server or a proxy of another user connects; who may is for the folder to say. */
const SOCKET_MODE = 0o777;

/** @throws SpiffeError `SOCKET_UNUSABLE`, `CONFIG_INVALID` for files that cannot be used */
export async function listenFor(listen: OidcListen, server: PageServer, options: ListenOptions): Promise<Listening> {
  const { log, clock, maxConnections } = options;
  await using stack = new AsyncDisposableStack();
  const onConnection = server.accept.bind(server);
  const tcp = ({ host, port }: TcpAddress, setting: string) => ({
    ...{ host: host || '::', port, setting, log, maxConnections, onConnection },
  });
  switch (listen.type) {
    case 'socket': {
      const { path } = stack.use(await listenUnix({ path: listen.path, mode: SOCKET_MODE, log, onConnection }));
      return listening(stack, undefined, { path });
    }
    case 'clear': {
      const { port } = stack.use(await listenInClear(tcp(listen.address, 'insecure_addr')));
      return listening(stack, port, { host: listen.address.host, port, tls: 'none' });
    }
    case 'files': {
      const setting = 'serving_cert_file';
      const { certFilePath: certFile, keyFilePath: keyFile, fileSyncIntervalSeconds } = listen.files;
      const shown = stack.use(
        await CertificateFiles.open({
          ...{ what: 'the documents', setting, certFile, keyFile, log },
          keys: { certFile: 'cert_file_path', keyFile: 'key_file_path' },
          intervalMs: fileSyncIntervalSeconds * 1000,
        }),
      );
      const { port } = stack.use(await listenWithTls(shown, tcp(listen.address, setting)));
      return listening(stack, port, { host: listen.address.host, port, tls: 'files' });
    }
    case 'acme': {
      const { acme: config, folder } = listen;
      const shown = stack.use(await AcmeCertificates.open({ config, folder, log, clock }));
      const divert = { divert: shown.challenge.divert.bind(shown.challenge) };
      const { port } = stack.use(await listenWithTls(shown, { ...tcp(listen.address, 'acme'), ...divert }));
      shown.start();
      return listening(stack, port, { host: listen.address.host, port, tls: 'acme' });
    }
  }
}

function listening(stack: AsyncDisposableStack, port: number | undefined, place: Listening['place']): Listening {
  const opened = stack.move();
  return { port, place, [Symbol.asyncDispose]: () => opened.disposeAsync() };
}
