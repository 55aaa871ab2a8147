import { fileURLToPath } from 'node:url';
import { TestProcess } from '../harness/child-process.ts';
import { buildGo } from '../harness/go.ts';

const MODULE = fileURLToPath(new URL('../interop/workload-api', import.meta.url));

/** What a workload of test/interop/workload-api/traffic tells of itself. */
export interface TrafficReport {
  readonly handshakes: number;
  readonly failures: readonly string[] | null;
  /** Key IDs of authorities, in hex: of the one above its own SVID, and of all that it trusts the peer by. */
  readonly signedBy: string;
  readonly trusted: readonly string[];
}

/** A go-spiffe workload that makes one mTLS connection after the other, or takes them. Disposing ends it. */
export class Traffic implements AsyncDisposable {
  readonly #process: TestProcess;
  #asking: Promise<unknown> = Promise.resolve();

  private constructor(process: TestProcess) {
    this.#process = process;
  }

  static async #start(socket: string, args: readonly string[]): Promise<TestProcess> {
    const executable = await buildGo(MODULE, 'traffic');
    return await TestProcess.start('/usr/bin/env', [`SPIFFE_ENDPOINT_SOCKET=unix://${socket}`, executable, ...args]);
  }

  /** @returns it with its address */
  static async serve(
    socket: string,
    clientId: string,
  ): Promise<{ readonly traffic: Traffic; readonly address: string }> {
    const process = await Traffic.#start(socket, ['serve', clientId]);
    const line = await process.readLine();
    return { traffic: new Traffic(process), address: JSON.parse(line ?? '{}').address };
  }

  static async dial(socket: string, address: string, serverId: string): Promise<Traffic> {
    return new Traffic(await Traffic.#start(socket, ['dial', address, serverId]));
  }

  async report(): Promise<TrafficReport> {
    const asked = this.#asking.then(async () => {
      this.#process.writeLine('{}');
      return JSON.parse((await this.#process.readLine()) ?? '');
    });
    this.#asking = asked.catch(() => {});
    return await asked;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process[Symbol.asyncDispose]();
  }
}
