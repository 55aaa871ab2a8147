import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import type { Swtpm } from '../../src/testing/swtpm.ts';

const HEADER_BYTES = 10;
const CONNECT_MS = 5000;
const POLL_MS = 5;
const TAG_NO_SESSIONS = 0x8001;

export interface TpmMessage {
  /** TPM_CC: Part 2, §6.5.2. */
  readonly commandCode: number;
  readonly command: Uint8Array;
  readonly response: Uint8Array;
}

export interface ProxyRules {
  /** A response code that is given instead of asking the TPM; called once a command, in order. */
  findFailure?(commandCode: number, command: Uint8Array): number | undefined;
  /** What is handed on in place of the TPM's own response. */
  changeResponse?(commandCode: number, response: Uint8Array, command: Uint8Array): Uint8Array;
  /** A command that the TPM gets from somebody else before this one. */
  findPrelude?(commandCode: number): Uint8Array | undefined;
}

/** Stands between tpm2-tss and swtpm: keeps what crosses the bus, and makes commands fail. */
export class TpmProxy implements AsyncDisposable {
  readonly tcti: string;
  readonly messages: TpmMessage[] = [];
  readonly #folder: string;
  #upstream: string;
  readonly #rules: ProxyRules;
  readonly #sockets = new Set<Socket>();
  readonly #servers: Server[] = [];

  private constructor(folder: string, upstream: string, rules: ProxyRules) {
    this.#folder = folder;
    this.#upstream = upstream;
    this.#rules = rules;
    this.tcti = `swtpm:path=${join(folder, 'tpm')}`;
  }

  static async start(tpm: Swtpm, rules: ProxyRules = {}): Promise<TpmProxy> {
    const folder = await mkdtemp(join(tmpdir(), 'tpm-proxy-'));
    const proxy = new TpmProxy(folder, join(tpm.folder, 'tpm'), rules);
    await proxy.#listen('tpm', (client) => proxy.#relay(client));
    await proxy.#listen('tpm.ctrl', async (client) => {
      const control = await proxy.#connect('.ctrl');
      client.pipe(control).pipe(client);
    });
    return proxy;
  }

  /** All that crossed the bus, in hex. */
  get traffic(): string {
    return this.messages.map(({ command, response }) => Buffer.concat([command, response]).toString('hex')).join('|');
  }

  /** From the next command on another TPM answers, as if somebody had changed the chip. */
  swap(tpm: Swtpm): void {
    this.#upstream = join(tpm.folder, 'tpm');
  }

  async #listen(name: string, onClient: (client: Socket) => Promise<void>): Promise<void> {
    const server = createServer((client) => {
      this.#keep(client);
      onClient(client).catch(() => client.destroy());
    });
    this.#servers.push(server);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    server.once('error', reject).listen(join(this.#folder, name), resolve);
    await promise;
  }

  /** A queue that is full, as that of swtpm is with one client in it, answers EAGAIN where a blocking client would wait. */
  async #connect(suffix: string): Promise<Socket> {
    const deadline = performance.now() + CONNECT_MS;
    for (;;) {
      const socket = connect(`${this.#upstream}${suffix}`);
      try {
        await once(socket, 'connect');
        return this.#keep(socket);
      } catch (error) {
        if (performance.now() > deadline) throw error;
        await wait(POLL_MS);
      }
    }
  }

  #keep(socket: Socket): Socket {
    this.#sockets.add(socket);
    return socket.on('error', () => socket.destroy()).once('close', () => this.#sockets.delete(socket));
  }

  async #relay(client: Socket): Promise<void> {
    const connectTpm = async () => {
      const socket = await this.#connect('');
      const closeClient = () => client.destroy();
      socket.once('close', closeClient);
      client.once('close', () => socket.destroy());
      const leave = () => socket.off('close', closeClient).destroy();
      return { upstream: this.#upstream, socket, responses: messagesOf(socket), leave };
    };
    let tpm = await connectTpm();
    const answer = async (command: Uint8Array): Promise<Uint8Array> => {
      if (tpm.upstream !== this.#upstream) {
        tpm.leave();
        tpm = await connectTpm();
      }
      tpm.socket.write(command);
      const { value } = await tpm.responses.next();
      return value ?? new Uint8Array(0);
    };
    for await (const command of messagesOf(client)) {
      const commandCode = command.readUInt32BE(6);
      const failure = this.#rules.findFailure?.(commandCode, command);
      const prelude = this.#rules.findPrelude?.(commandCode);
      if (prelude !== undefined) await answer(prelude);
      const own = failure === undefined ? await answer(command) : failureResponse(failure);
      const response = this.#rules.changeResponse?.(commandCode, own, command) ?? own;
      this.messages.push({ commandCode, command, response });
      client.write(response);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    for (const server of this.#servers) server.close();
    await rm(this.#folder, { recursive: true, force: true });
  }
}

/** Commands and responses, which say their size: Part 3, §4. */
async function* messagesOf(socket: Socket): AsyncGenerator<Buffer, undefined> {
  let buffered = Buffer.alloc(0);
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    buffered = Buffer.concat([buffered, chunk]);
    while (buffered.length >= HEADER_BYTES && buffered.length >= buffered.readUInt32BE(2)) {
      const size = buffered.readUInt32BE(2);
      yield buffered.subarray(0, size);
      buffered = buffered.subarray(size);
    }
  }
  return undefined;
}

function failureResponse(code: number): Buffer {
  const response = Buffer.alloc(HEADER_BYTES);
  response.writeUInt16BE(TAG_NO_SESSIONS);
  response.writeUInt32BE(HEADER_BYTES, 2);
  response.writeUInt32BE(code, 6);
  return response;
}
