import type { Socket } from 'node:net';

/** A record has no more, and a ClientHello that begins a connection fits into one. RFC 8446 §5.1 */
const MAX_RECORD_BYTES = 5 + 16_384;
const HANDSHAKE = 22;
const CLIENT_HELLO = 1;
const ALPN = 16;

/**
 * Looks at how a TLS connection begins, and leaves it as it was.
 *
 * @returns the protocols that the client offers by ALPN; none for whatever is no ClientHello, or where it does not come in time
 */
export async function peekAlpnProtocols(socket: Socket, maxWaitMs: number): Promise<readonly string[]> {
  const bytes = await peekRecord(socket, maxWaitMs);
  try {
    return alpnProtocolsOf(new Bytes(bytes));
  } catch {
    return []; // the TLS server says what is wrong
  }
}

function peekRecord(socket: Socket, maxWaitMs: number): Promise<Buffer> {
  return new Promise((resolve) => {
    let bytes: Buffer = Buffer.alloc(0);
    const settle = () => {
      clearTimeout(timer);
      socket.pause();
      socket.off('data', onData).off('end', settle).off('close', settle);
      if (bytes.length > 0 && !socket.destroyed) socket.unshift(bytes);
      resolve(bytes);
    };
    const onData = (chunk: Buffer) => {
      bytes = Buffer.concat([bytes, chunk]);
      if (bytes[0] !== HANDSHAKE || bytes.length >= MAX_RECORD_BYTES) return settle();
      if (bytes.length >= 5 && bytes.length >= 5 + bytes.readUInt16BE(3)) settle();
    };
    const timer = setTimeout(settle, maxWaitMs);
    socket.on('error', () => {}); // also between this and whoever reads on
    socket.on('data', onData).on('end', settle).on('close', settle);
  });
}

/** RFC 8446 §4.1.2, §4.2; RFC 7301 §3.1 */
function alpnProtocolsOf(record: Bytes): readonly string[] {
  if (record.number(1) !== HANDSHAKE) return [];
  record.skip(2); // version
  const handshake = record.vector(2);
  if (handshake.number(1) !== CLIENT_HELLO) return [];
  const hello = handshake.vector(3);
  hello.skip(2 + 32); // version, random
  hello.vector(1); // session
  hello.vector(2); // cipher suites
  hello.vector(1); // compression
  const extensions = hello.vector(2);
  while (!extensions.isEmpty) {
    const type = extensions.number(2);
    const content = extensions.vector(2);
    if (type !== ALPN) continue;
    const names = content.vector(2);
    const protocols: string[] = [];
    while (!names.isEmpty) protocols.push(names.vector(1).text);
    return protocols;
  }
  return [];
}

/** Reads forward; a RangeError where there is no more. */
class Bytes {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get isEmpty(): boolean {
    return this.#at >= this.#bytes.length;
  }

  get text(): string {
    return this.#bytes.toString('latin1');
  }

  number(size: number): number {
    return this.#take(size).readUIntBE(0, size);
  }

  skip(size: number): void {
    this.#take(size);
  }

  /** What follows its length. */
  vector(lengthSize: number): Bytes {
    return new Bytes(this.#take(this.number(lengthSize)));
  }

  #take(size: number): Buffer {
    if (this.#at + size > this.#bytes.length) throw new RangeError('the message is cut off');
    this.#at += size;
    return this.#bytes.subarray(this.#at - size, this.#at);
  }
}
