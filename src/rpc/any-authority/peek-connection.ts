import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { AuthorityRewriter } from './authority-rewriter.ts';
import {
  EMPTY_SETTINGS,
  encodeFrame,
  Flag,
  type Frame,
  FrameReader,
  FrameType,
  isSettingsAck,
  PREFACE,
  protocolError,
} from './frames.ts';
import { HeaderAssembler } from './header-assembler.ts';
import { MAX_HEADER_LIST_BYTES } from './hpack.ts';
import type { HeaderField } from './hpack-table.ts';
import { Http2ConnectionError, Http2ErrorCode } from './http2-error.ts';
import { refuseConnection } from './refuse-connection.ts';

/** Of what is read before it is known whose connection this is: a header block with room for what may stand before it. */
const MAX_KEPT_BYTES = 2 * MAX_HEADER_LIST_BYTES;
/** Of answers that the client does not read. */
const MAX_UNREAD_BYTES = 16 * 1024;
const PING_BYTES = 8;

export interface PeekOptions {
  readonly socket: Socket;
  /** For the requests of a client whose own authority cannot be passed on. */
  readonly authority: string;
  /** Takes over `socket` as if nothing had been read of it. */
  onUsual(socket: Socket): void;
  /** Takes over a connection on which every request names `authority`. */
  onRewritten(stream: Duplex): void;
}

/**
 * Reads a client's connection up to its first request, and hands it on. nghttp2 resets a request whose authority has a `/`,
 * as grpc-java's has on a Unix socket: such a connection is rewritten, any other is handed on itself.
 *
 * A client may wait for the server's SETTINGS before its first request: it then gets empty ones, and their
 * acknowledgement stays here, since nghttp2 will send its own.
 */
export function peekConnection(options: PeekOptions): void {
  new ConnectionPeek(options);
}

class ConnectionPeek {
  readonly #options: PeekOptions;
  readonly #reader = new FrameReader();
  readonly #assembler = new HeaderAssembler();
  readonly #kept: Buffer[] = [PREFACE];
  #keptBytes = 0;
  #settings: 'not sent' | 'sent' | 'acknowledged' = 'not sent';
  #request: 'none' | 'usual' | 'to be rewritten' = 'none';

  readonly #onData = (chunk: Buffer) => {
    try {
      this.#take(chunk);
    } catch (error) {
      if (!(error instanceof Http2ConnectionError)) throw error;
      this.#leave();
      refuseConnection(this.#options.socket, error, this.#settings === 'not sent' ? 'nothing' : 'settings');
    }
  };
  readonly #onEnd = () => this.#options.socket.destroy();

  constructor(options: PeekOptions) {
    this.#options = options;
    options.socket.on('data', this.#onData).on('end', this.#onEnd);
  }

  #take(chunk: Buffer): void {
    this.#reader.push(chunk);
    if (!this.#reader.readPreface()) return;
    while (this.#request !== 'to be rewritten' && !this.#isReady()) {
      const frame = this.#reader.next();
      if (frame === undefined) break;
      this.#look(frame);
    }
    if (this.#isReady()) this.#handOn();
    else if (this.#request === 'to be rewritten' || this.#isLong()) this.#rewrite();
    else this.#sendSettings();
  }

  #isReady(): boolean {
    return this.#request === 'usual' && this.#settings !== 'sent';
  }

  #isLong(): boolean {
    if (this.#keptBytes <= MAX_KEPT_BYTES) return false;
    if (this.#request === 'none') {
      throw new Http2ConnectionError(Http2ErrorCode.EnhanceYourCalm, `no request within ${MAX_KEPT_BYTES} bytes`);
    }
    return true; // its first request goes on and on, and the acknowledgement is behind it
  }

  #look(frame: Frame): void {
    const block = this.#assembler.add(frame);
    if (block !== undefined) this.#request = block.fields.some(hasSlash) ? 'to be rewritten' : 'usual';
    if (isSettingsAck(frame)) {
      if (this.#settings !== 'sent') throw protocolError('settings are acknowledged that were not sent');
      this.#settings = 'acknowledged';
    } else if (frame.type === FrameType.Ping && (frame.flags & Flag.Ack) === 0) this.#answerPing(frame);
    else {
      this.#kept.push(frame.bytes);
      this.#keptBytes += frame.bytes.length;
    }
  }

  #sendSettings(): void {
    if (this.#settings !== 'not sent') return;
    this.#settings = 'sent';
    this.#options.socket.write(EMPTY_SETTINGS);
  }

  /** @see RFC 9113 §6.7 */
  #answerPing({ streamId, payload }: Frame): void {
    if (streamId !== 0) throw protocolError('a ping is for a stream');
    if (payload.length !== PING_BYTES)
      throw new Http2ConnectionError(Http2ErrorCode.FrameSize, 'a ping has no 8 bytes');
    this.#sendSettings(); // a server's first frame
    const { socket } = this.#options;
    socket.write(encodeFrame(FrameType.Ping, Flag.Ack, 0, payload));
    if (socket.writableLength > MAX_UNREAD_BYTES) {
      throw new Http2ConnectionError(Http2ErrorCode.EnhanceYourCalm, 'answers to pings are not read');
    }
  }

  #handOn(): void {
    const { socket, onUsual } = this.#options;
    const read = this.#leave();
    socket.unshift(read);
    onUsual(socket);
  }

  #rewrite(): void {
    const { socket, authority, onRewritten } = this.#options;
    onRewritten(
      new AuthorityRewriter({ socket, read: this.#leave(), authority, isAckPending: this.#settings === 'sent' }),
    );
  }

  /** @returns all that was read and is to be read by somebody else. */
  #leave(): Buffer {
    const { socket } = this.#options;
    socket.pause();
    socket.off('data', this.#onData).off('end', this.#onEnd);
    return Buffer.concat([...this.#kept, this.#reader.rest]);
  }
}

/** @see RFC 9113 §8.3.1: where there is no `:authority`, `host` stands for it. */
function hasSlash({ name, value }: HeaderField): boolean {
  return (name === ':authority' || name === 'host') && value.includes('/');
}
