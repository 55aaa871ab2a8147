import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import {
  HealthCheckResponse,
  HealthCheckResponse_ServingStatus,
  HealthDefinition,
} from '../../src/gen/grpc/health/v1/health.ts';
import { Logger, type LogRecord } from '../../src/log/logger.ts';
import type { TlsPeer } from '../../src/rpc/peer.ts';
import { RpcServer } from '../../src/rpc/server.ts';
import { bindService } from '../../src/rpc/service.ts';
import type { TlsIdentity } from '../../src/rpc/tls-identity.ts';
import { listenTls, type TlsListener, type TlsListenerOptions } from '../../src/rpc/tls-server.ts';
import type { Bundle } from '../../src/spiffe/bundle.ts';
import { SpiffeError } from '../../src/spiffe/error.ts';
import type { TestSvid } from '../../src/testing/test-authority.ts';
import { encodePem } from '../../src/x509/pem.ts';

export interface TlsService {
  readonly listener: TlsListener;
  readonly server: RpcServer;
  readonly records: readonly LogRecord[];
  /** Of every connection that was handed on, in order. */
  readonly peers: readonly TlsPeer[];
  /** Makes every open `Watch` send one more answer. */
  tick(): void;
}

/** A TLS listener with a gRPC health service behind it, gone with the test. */
export async function serveTls(
  identity: TlsIdentity,
  bundles: () => readonly Bundle[],
  options: Partial<TlsListenerOptions> = {},
): Promise<TlsService> {
  const records: LogRecord[] = [];
  const peers: TlsPeer[] = [];
  const watchers = new Set<() => void>();
  const log = new Logger((record) => records.push(record), 'debug');
  const answer = HealthCheckResponse.fromPartial({ status: HealthCheckResponse_ServingStatus.SERVING });
  const health = bindService(HealthDefinition, {
    check: async () => answer,
    list: async () => {
      throw new SpiffeError('UNIMPLEMENTED', 'not here');
    },
    async *watch(_request, { signal }) {
      yield answer;
      while (!signal.aborted) {
        const { promise, resolve } = Promise.withResolvers<void>();
        watchers.add(resolve);
        signal.addEventListener('abort', () => resolve(), { once: true });
        await promise;
        watchers.delete(resolve);
        yield answer;
      }
    },
  });
  const server = RpcServer.create({ services: [health], log, graceMs: 100 });
  const listener = await listenTls({
    address: '127.0.0.1',
    port: 0,
    identity,
    log,
    findBundle: (trustDomain) => bundles().find((bundle) => bundle.trustDomain === trustDomain),
    onConnection: (socket, peer) => {
      peers.push(peer);
      server.accept(socket, peer);
    },
    ...options,
  });
  onTestFinished(async () => {
    await listener[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
  });
  return {
    listener,
    server,
    records,
    peers,
    tick: () => {
      for (const wake of watchers) wake();
    },
  };
}

/** PEM files of an identity for a program's `-cert` and `-key`. */
export async function writePem({ certificates, privateKey }: TestSvid): Promise<{ cert: string; key: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'assayer-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const cert = join(folder, 'cert.pem');
  const key = join(folder, 'key.pem');
  await writeFile(cert, certificates.map((der) => encodePem('CERTIFICATE', der)).join(''));
  await writeFile(key, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
  return { cert, key };
}
