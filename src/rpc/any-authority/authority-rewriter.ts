import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { type Frame, FrameReader, isSettingsAck, PREFACE } from './frames.ts';
import { encodeHeaderFrames, HeaderAssembler } from './header-assembler.ts';
import { encodeHeaderBlock } from './hpack.ts';
import { bytesOf, type HeaderField } from './hpack-table.ts';
import { Http2ConnectionError, Http2ErrorCode } from './http2-error.ts';
import { destroyOnceFlushed, refuseConnection } from './refuse-connection.ts';

/** What header blocks may come to beyond what was received, … */
const FREE_FIELD_BYTES = 256 * 1024;
/** … and for each byte that was: usual requests of one connection, all of whose fields are in its table, are 20. */
const MAX_EXPANSION = 32;

export interface AuthorityRewriterOptions {
  readonly socket: Socket;
  /** What was read of it, from the preface on. */
  readonly read: Buffer;
  /** What every request then names as its authority. */
  readonly authority: string;
  /** Whether the client has yet to acknowledge SETTINGS that its server did not send. */
  readonly isAckPending: boolean;
}

/**
 * A client's connection as nghttp2 takes it: the authority of every request is replaced, whatever it was. Header blocks
 * are decoded, as later ones refer to them, and encoded anew; every other frame and all answers pass as they are.
 *
 * It closes, and never fails: an `error` of a stream while something is being written to it ends the process by an
 * assertion of Node's, whose HTTP/2 session then writes a GOAWAY.
 */
export class AuthorityRewriter extends Duplex {
  readonly #socket: Socket;
  readonly #authority: HeaderField;
  readonly #reader = new FrameReader();
  readonly #assembler = new HeaderAssembler();
  #isAckPending: boolean;
  #hasPreface = false;
  #receivedBytes = 0;
  /** Of the fields of all header blocks so far. */
  #fieldBytes = 0;

  constructor({ socket, read, authority, isAckPending }: AuthorityRewriterOptions) {
    super({ allowHalfOpen: false });
    this.#socket = socket;
    this.#authority = { name: ':authority', value: authority };
    this.#isAckPending = isAckPending;
    socket.on('error', () => {}); // its close tells
    socket.on('close', () => this.destroy());
    socket.on('end', () => this.push(null));
    this.#take(read);
    socket.on('data', (chunk: Buffer) => this.#take(chunk));
  }

  override _read(): void {
    this.#socket.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.#socket.write(chunk, () => done());
  }

  override _writev(chunks: readonly { readonly chunk: Buffer }[], done: () => void): void {
    this.#socket.write(Buffer.concat(chunks.map(({ chunk }) => chunk)), () => done());
  }

  override _final(done: () => void): void {
    this.#socket.end(() => done());
  }

  override _destroy(_error: Error | null, done: () => void): void {
    destroyOnceFlushed(this.#socket);
    done();
  }

  #take(chunk: Buffer): void {
    if (this.destroyed) return;
    try {
      this.#receivedBytes += chunk.length;
      const passed = this.#pass(chunk);
      if (passed.length > 0 && !this.push(Buffer.concat(passed))) this.#socket.pause();
    } catch (error) {
      if (!(error instanceof Http2ConnectionError)) throw error;
      refuseConnection(this.#socket, error, 'settings');
      this.destroy();
    }
  }

  #pass(chunk: Buffer): Buffer[] {
    const passed: Buffer[] = [];
    this.#reader.push(chunk);
    if (!this.#hasPreface) {
      if (!this.#reader.readPreface()) return passed;
      this.#hasPreface = true;
      passed.push(PREFACE);
    }
    for (let frame = this.#reader.next(); frame !== undefined; frame = this.#reader.next()) {
      passed.push(...this.#rewrite(frame));
    }
    return passed;
  }

  #rewrite(frame: Frame): readonly Buffer[] {
    const block = this.#assembler.add(frame);
    if (block !== undefined) {
      this.#spend(block.fields);
      return encodeHeaderFrames(block, encodeHeaderBlock(this.#withAuthority(block.fields)));
    }
    if (HeaderAssembler.isPartOfBlock(frame)) return [];
    if (this.#isAckPending && isSettingsAck(frame)) {
      this.#isAckPending = false;
      return [];
    }
    return [frame.bytes];
  }

  /** A byte may stand for a field of kilobytes, which is a literal here. */
  #spend(fields: readonly HeaderField[]): void {
    for (const { name, value } of fields) this.#fieldBytes += bytesOf(name, value);
    if (this.#fieldBytes <= FREE_FIELD_BYTES + MAX_EXPANSION * this.#receivedBytes) return;
    throw new Http2ConnectionError(Http2ErrorCode.EnhanceYourCalm, 'header blocks expand too much');
  }

  /** Two authorities, or none, are left to be refused. @see RFC 9113 §8.3.1: where there is none, `host` stands for it. */
  #withAuthority(fields: readonly HeaderField[]): readonly HeaderField[] {
    const replaced = fields
      .filter(({ name }) => name !== 'host')
      .map((field) => (field.name === this.#authority.name ? this.#authority : field));
    const isNamedByHost = replaced.length < fields.length && !replaced.includes(this.#authority);
    return isNamedByHost ? [this.#authority, ...replaced] : replaced;
  }
}
