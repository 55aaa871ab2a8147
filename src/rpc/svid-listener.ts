import type { TLSSocket } from 'node:tls';
import { SpiffeError } from '../spiffe/error.ts';
import type { SpiffeId } from '../spiffe/spiffe-id.ts';
import type { TlsPeer } from './peer.ts';
import type { TlsIdentity } from './tls-identity.ts';
import { listenTls, type TlsListenerOptions } from './tls-server.ts';

/** What is shown at this moment, and word of what follows. */
export interface IdentitySource {
  readonly current: TlsIdentity;
  /** @returns what ends it. */
  subscribe(listener: (identity: TlsIdentity) => void): () => void;
}

export interface SvidListenerOptions extends Omit<TlsListenerOptions, 'identity' | 'onConnection' | 'alpn'> {
  readonly identity: IdentitySource;
  /** Whose X.509-SVID a client has to show; none: it need not show any. */
  readonly authorizedIds: readonly SpiffeId[];
  onConnection(socket: TLSSocket): void;
}

/** Disposing closes the port; connections are their receiver's. */
export interface SvidListener extends AsyncDisposable {
  /** As bound. */
  readonly port: number;
}

/** A port that speaks HTTP/1.1 over TLS, to clients with certain SPIFFE IDs. @throws as {@link listenTls} */
export async function listenForSvids(options: SvidListenerOptions): Promise<SvidListener> {
  const { identity, authorizedIds, onConnection, ...rest } = options;
  const listener = await listenTls({
    ...rest,
    identity: identity.current,
    alpn: 'http/1.1',
    onConnection: (socket, peer) => {
      requireAuthorized(peer, authorizedIds);
      onConnection(socket);
    },
  });
  const unsubscribe = identity.subscribe((next) => listener.useIdentity(next));
  return {
    port: listener.port,
    [Symbol.asyncDispose]: async () => {
      unsubscribe();
      await listener[Symbol.asyncDispose]();
    },
  };
}

function requireAuthorized({ spiffeId }: TlsPeer, authorizedIds: readonly SpiffeId[]): void {
  if (authorizedIds.length === 0 || (spiffeId !== undefined && authorizedIds.includes(spiffeId))) return;
  throw new SpiffeError('PERMISSION_DENIED', `${spiffeId ?? 'a client without X.509-SVID'} is not authorized`);
}
