import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { createInterface } from 'node:readline';

/** The outer end of a virtual machine's serial port, which speaks in lines. */
export class GuestPort implements AsyncDisposable {
  readonly #server: Server;
  readonly #socket = Promise.withResolvers<Socket>();
  readonly #lines: string[] = [];
  readonly #waiting: ((line: string) => void)[] = [];

  private constructor(server: Server) {
    this.#server = server;
    server.once('connection', (socket) => {
      socket.on('error', () => {});
      createInterface({ input: socket }).on('line', (line) => {
        const waiting = this.#waiting.shift();
        if (waiting === undefined) this.#lines.push(line);
        else waiting(line);
      });
      this.#socket.resolve(socket);
    });
  }

  /** @param path of the socket that QEMU is to connect to */
  static async listen(path: string): Promise<GuestPort> {
    const server = createServer().listen(path);
    await once(server, 'listening');
    return new GuestPort(server);
  }

  /** The next line from within. */
  line(): Promise<string> {
    const line = this.#lines.shift();
    if (line !== undefined) return Promise.resolve(line);
    const { promise, resolve } = Promise.withResolvers<string>();
    this.#waiting.push(resolve);
    return promise;
  }

  write(line: string): void {
    void this.#socket.promise.then((socket) => socket.write(`${line}\n`));
  }

  /** Whoever reads within comes to the end. */
  end(): void {
    void this.#socket.promise.then((socket) => socket.end());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    await Promise.race([this.#socket.promise.then((socket) => socket.destroy()), Promise.resolve()]);
  }
}
