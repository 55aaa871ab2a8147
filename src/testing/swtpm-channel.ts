import { once } from 'node:events';
import { createConnection, type Socket } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { messageOf, SpiffeError } from '../spiffe/error.ts';
import { concat, u8, u32 } from '../tpm/tpm-writer.ts';

/** Commands of the control channel. Source: swtpm, man page swtpm_ioctls(3). */
const CONTROL = { initialize: 2, setLocality: 5 } as const;
const DELETE_VOLATILE_STATE = 1;
const RESULT_BYTES = 4;
/** Tag, size and response code: TPM 2.0 Library, Part 1, §16.9. */
const RESPONSE_HEADER_BYTES = 10;
const ANSWER_MS = 30_000;
const LISTEN_MS = 5_000;
const POLL_MS = 10;

/** What a platform does to its TPM: it resets it, says who speaks, and sends commands as bytes. */
export class SwtpmChannel implements AsyncDisposable {
  readonly #commands: Socket;
  readonly #control: Socket;

  private constructor(commands: Socket, control: Socket) {
    this.#commands = commands;
    this.#control = control;
  }

  /** @param path of swtpm's socket; the control channel's has the suffix `.ctrl` */
  static async open(path: string): Promise<SwtpmChannel> {
    const control = await connect(`${path}.ctrl`);
    try {
      return new SwtpmChannel(await connect(path), control);
    } catch (error) {
      control.destroy();
      throw error;
    }
  }

  /** As at power on: volatile state is gone, and the next command has to be TPM2_Startup. */
  async initialize(): Promise<void> {
    await this.#tell('initialize', u32(DELETE_VOLATILE_STATE));
  }

  /** @param locality of the commands that follow, 0 to 4 */
  async setLocality(locality: number): Promise<void> {
    await this.#tell('setLocality', u8(locality));
  }

  /** @throws SpiffeError `TPM_UNAVAILABLE` with the response code, unless that is success */
  async run(name: string, command: Uint8Array): Promise<Uint8Array> {
    const response = await ask(this.#commands, command, (received) =>
      received.length < RESPONSE_HEADER_BYTES ? RESPONSE_HEADER_BYTES : received.readUInt32BE(2),
    );
    requireSuccess(name, response.readUInt32BE(6));
    return response;
  }

  async #tell(name: keyof typeof CONTROL, body: Uint8Array): Promise<void> {
    const answer = await ask(this.#control, concat(u32(CONTROL[name]), body), () => RESULT_BYTES);
    requireSuccess(name, answer.readUInt32BE(0));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#commands.destroy();
    this.#control.destroy();
  }
}

/** The socket is there a moment before swtpm listens at it. */
async function connect(path: string): Promise<Socket> {
  const deadline = performance.now() + LISTEN_MS;
  for (;;) {
    const socket = createConnection({ path });
    try {
      await once(socket, 'connect', { signal: AbortSignal.timeout(ANSWER_MS) });
      socket.on('error', () => {}); // whoever waits for an answer hears of the end
      return socket;
    } catch (cause) {
      socket.destroy();
      const mayListenYet = cause instanceof Error && 'code' in cause && cause.code === 'ECONNREFUSED';
      if (!mayListenYet || performance.now() > deadline) {
        throw new SpiffeError('TPM_UNAVAILABLE', `no swtpm answers at ${path}: ${messageOf(cause)}`, { cause });
      }
      await wait(POLL_MS);
    }
  }
}

/** @param neededBytes of the answer, as far as what was received tells */
async function ask(socket: Socket, request: Uint8Array, neededBytes: (received: Buffer) => number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const fail = (what: string) => reject(new SpiffeError('TPM_UNAVAILABLE', `swtpm ${what}`));
  const onData = (chunk: Buffer) => {
    chunks.push(chunk);
    const received = Buffer.concat(chunks);
    if (received.length >= neededBytes(received)) resolve(received);
  };
  const onClose = () => fail('closed the connection');
  const timer = setTimeout(() => fail(`gave no answer for ${ANSWER_MS} ms`), ANSWER_MS);
  socket.on('data', onData).on('close', onClose);
  try {
    if (socket.destroyed) onClose();
    socket.write(request);
    return await promise;
  } finally {
    clearTimeout(timer);
    socket.off('data', onData).off('close', onClose);
  }
}

function requireSuccess(name: string, code: number): void {
  if (code === 0) return;
  throw new SpiffeError('TPM_UNAVAILABLE', `swtpm refused ${name} with 0x${code.toString(16)}`);
}
