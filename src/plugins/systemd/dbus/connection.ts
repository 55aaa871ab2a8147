import { createConnection, type Socket } from 'node:net';
import { SpiffeError } from '../../../plugin-sdk/index.ts';
import {
  type DbusMessage,
  decodeMessage,
  ERROR,
  encodeMethodCall,
  findMessageLength,
  type MethodCall,
} from './message.ts';
import { malformed } from './reader.ts';

/** An error that the callee answered. */
export class DbusError extends Error {
  override readonly name = 'DbusError';
  /** Such as `org.freedesktop.DBus.Error.ServiceUnknown`. */
  readonly errorName: string;

  constructor(errorName: string, message: string) {
    super(message);
    this.errorName = errorName;
  }
}

/** The bus ended the connection, as it does when it is started again. */
export class LostConnectionError extends SpiffeError {}

interface PendingCall {
  /** Who may answer it. */
  readonly destination: string;
  resolve(message: DbusMessage): void;
  reject(error: unknown): void;
}

const BUS = 'org.freedesktop.DBus';
const BUS_PATH = '/org/freedesktop/DBus';
/** To connect, prove who we are, and say hello. */
const CONNECT_MS = 5_000;
const MAX_LINE_BYTES = 512;
/** As with other clients of D-Bus. */
const CALL_MS = 25_000;

/** A connection to a message bus, for calls alone. Source: D-Bus specification. */
export class DbusConnection implements Disposable {
  readonly #socket: Socket;
  readonly #calls = new Map<number, PendingCall>();
  readonly #greeted = Promise.withResolvers<void>();
  #received = Buffer.alloc(0);
  #isGreeted = false;
  #serial = 0;
  #failure: unknown;

  private constructor(path: string) {
    this.#socket = createConnection(path);
    this.#greeted.promise.catch(() => {}); // whoever opens it is told
    let ended = unreachable;
    this.#socket.on('connect', () => {
      ended = lost;
    });
    this.#socket.on('error', (cause) => this.#fail(ended(path, cause.message, cause)));
    this.#socket.on('close', () => this.#fail(ended(path, 'it closed the connection')));
    this.#socket.on('data', (data) => this.#receive(data));
    this.#socket.setTimeout(CONNECT_MS, () => {
      if (!this.#isGreeted) this.#fail(unreachable(path, `it said nothing for ${CONNECT_MS} ms`));
    });
  }

  /** @throws SpiffeError `WORKLOAD_UNREADABLE` that says what to do */
  static async open(path: string): Promise<DbusConnection> {
    const connection = new DbusConnection(path);
    try {
      const user = Buffer.from(String(process.geteuid?.() ?? 0), 'latin1').toString('hex');
      connection.#socket.write(`\0AUTH EXTERNAL ${user}\r\n`);
      await connection.#greeted.promise;
      await connection.call({ destination: BUS, path: BUS_PATH, interface: BUS, member: 'Hello' });
      connection.#socket.setTimeout(0);
      return connection;
    } catch (error) {
      connection[Symbol.dispose]();
      throw error;
    }
  }

  /** Whether it can be called. */
  get isOpen(): boolean {
    return this.#failure === undefined;
  }

  /** The unique name of who owns a well-known one now: nobody else can answer calls to it. @throws as {@link call} */
  async nameOwner(name: string): Promise<string> {
    const call = { destination: BUS, path: BUS_PATH, interface: BUS, member: 'GetNameOwner', arguments: [name] };
    return (await this.call(call)).body.string();
  }

  /** @throws DbusError what the callee answered; SpiffeError `WORKLOAD_UNREADABLE` where the bus is gone */
  async call(call: MethodCall): Promise<DbusMessage> {
    if (this.#failure !== undefined) throw this.#failure;
    this.#serial += 1;
    const serial = this.#serial;
    const message = encodeMethodCall(serial, call); // throws before anything waits for an answer
    const answered = Promise.withResolvers<DbusMessage>();
    this.#calls.set(serial, { destination: call.destination, ...answered });
    const late = setTimeout(() => answered.reject(noAnswer(call)), CALL_MS);
    this.#socket.write(message);
    try {
      return await answered.promise;
    } finally {
      clearTimeout(late);
      this.#calls.delete(serial);
    }
  }

  [Symbol.dispose](): void {
    this.#fail(new SpiffeError('CANCELLED', 'the connection to D-Bus was closed'));
  }

  #receive(data: Buffer): void {
    this.#received = Buffer.concat([this.#received, data]);
    try {
      if (!this.#isGreeted) this.#readGreeting();
      if (this.#isGreeted) this.#readMessages();
    } catch (error) {
      this.#fail(error);
    }
  }

  /** `OK <id of the bus>`, after which messages are spoken. */
  #readGreeting(): void {
    const end = this.#received.indexOf('\r\n');
    if (end < 0 && this.#received.length <= MAX_LINE_BYTES) return;
    const line = this.#received.subarray(0, Math.max(end, 0)).toString('latin1');
    if (!line.startsWith('OK ')) throw malformed('it does not take this process for its user');
    this.#received = this.#received.subarray(end + 2);
    this.#socket.write('BEGIN\r\n');
    this.#isGreeted = true;
    this.#greeted.resolve();
  }

  #readMessages(): void {
    for (;;) {
      const length = findMessageLength(this.#received);
      if (length === undefined || this.#received.length < length) return;
      const message = decodeMessage(this.#received.subarray(0, length));
      this.#received = this.#received.subarray(length);
      this.#answer(message);
    }
  }

  /** Signals, and what others send unasked, are passed over. */
  #answer(message: DbusMessage): void {
    const call = message.replySerial === undefined ? undefined : this.#calls.get(message.replySerial);
    if (call === undefined || message.replySerial === undefined) return;
    const isOfBus = message.sender === BUS && message.type === ERROR; // nobody was there to answer
    if (message.sender !== call.destination && !isOfBus) return;
    this.#calls.delete(message.replySerial);
    if (message.type !== ERROR) {
      call.resolve(message);
      return;
    }
    const text = message.signature.startsWith('s') ? message.body.string() : 'no reason given';
    call.reject(new DbusError(message.errorName ?? 'unnamed', text));
  }

  #fail(error: unknown): void {
    this.#failure ??= error;
    this.#socket.destroy();
    this.#greeted.reject(this.#failure);
    for (const call of this.#calls.values()) call.reject(this.#failure);
    this.#calls.clear();
  }
}

function noAnswer({ member }: MethodCall): SpiffeError {
  return new SpiffeError('DEADLINE_EXCEEDED', `the D-Bus call ${member} was not answered within ${CALL_MS} ms`);
}

function unreachable(path: string, reason: string, cause?: unknown): SpiffeError {
  return new SpiffeError('WORKLOAD_UNREADABLE', cannotAsk(path, reason), { cause });
}

function lost(path: string, reason: string, cause?: unknown): LostConnectionError {
  return new LostConnectionError('WORKLOAD_UNREADABLE', cannotAsk(path, reason), { cause });
}

function cannotAsk(path: string, reason: string): string {
  return `cannot ask systemd over the D-Bus socket ${path}: ${reason}; see that dbus.service runs, or name the socket with dbus_socket_path`;
}
