import type { Socket } from 'node:net';
import { SpiffeError } from '../spiffe/error.ts';
import type { ClientAddress } from './network-address.ts';
import { parseProxyHeader } from './parse-proxy-header.ts';

/**
 * Takes the header of the PROXY protocol from the start of a connection, and leaves what follows it.
 *
 * @returns whom the connection is for; undefined where it has no header, or one that does not say.
 * @throws SpiffeError `ARGUMENT_INVALID` for a wrong header, `DEADLINE_EXCEEDED`, `CANCELLED` where the connection ends.
 */
export function readProxyHeader(socket: Socket, maxWaitMs: number): Promise<ClientAddress | undefined> {
  const { promise, resolve, reject } = Promise.withResolvers<ClientAddress | undefined>();
  let bytes: Buffer = Buffer.alloc(0);
  const timer = setTimeout(() => {
    fail(new SpiffeError('DEADLINE_EXCEEDED', `no PROXY protocol header came within ${maxWaitMs / 1000} s`));
  }, maxWaitMs);
  const settle = () => {
    clearTimeout(timer);
    socket.pause();
    socket.off('data', onData).off('end', onEnd).off('close', onEnd);
  };
  const fail = (error: unknown) => {
    settle();
    reject(error);
  };
  const onEnd = () => fail(new SpiffeError('CANCELLED', 'the connection ended before it began'));
  const onData = (chunk: Buffer) => {
    bytes = bytes.length === 0 ? chunk : Buffer.concat([bytes, chunk]);
    try {
      const header = parseProxyHeader(bytes);
      if (header === undefined) return;
      settle();
      if (bytes.length > header.length) socket.unshift(bytes.subarray(header.length));
      resolve(header.client);
    } catch (error) {
      fail(error);
    }
  };
  socket.on('error', () => {}); // also between this and whoever reads on
  socket.on('data', onData).on('end', onEnd).on('close', onEnd);
  return promise;
}
