import type { Socket } from 'node:net';
import { EMPTY_SETTINGS, encodeGoaway } from './frames.ts';
import type { Http2ConnectionError } from './http2-error.ts';

/** Says why, where the peer reads at all, and closes. @see RFC 9113 §5.4.1 */
export function refuseConnection(socket: Socket, error: Http2ConnectionError, sent: 'nothing' | 'settings'): void {
  if (socket.writableLength > 0) {
    socket.destroy();
    return;
  }
  if (sent === 'nothing') socket.write(EMPTY_SETTINGS); // RFC 9113 §3.4: a server's first frame
  socket.write(encodeGoaway(error));
  destroyOnceFlushed(socket);
}

/** For a last answer to go out; a peer that does not read it keeps nobody waiting. */
const FLUSH_MS = 250;

export function destroyOnceFlushed(socket: Socket): void {
  if (socket.writableLength > 0) setTimeout(() => socket.destroy(), FLUSH_MS);
  socket.destroySoon();
}
