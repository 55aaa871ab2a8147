import { join } from 'node:path';
import { RpcChannel } from '../../src/rpc/channel.ts';
import { TestProcess } from './child-process.ts';

export interface CallingProcessOptions {
  /** What it connects to. */
  readonly socketPath: string;
  /** Where the test talks over its connection. */
  readonly relayPath: string;
  readonly uid: number;
  /** Of the program that has its number later. */
  readonly successorUid?: number;
}

/** The group that it has once it was told to have another. */
export const OTHER_GROUP = 54_399;

/** A process that connects to a socket, leaves the connection to the test, and ends while its number goes to another. */
export class CallingProcess implements AsyncDisposable {
  readonly pid: number;
  readonly channel: RpcChannel;
  readonly #python: TestProcess;

  private constructor(python: TestProcess, pid: number, relayPath: string) {
    this.#python = python;
    this.pid = pid;
    this.channel = RpcChannel.unix(relayPath);
  }

  static async start({ socketPath, relayPath, uid, successorUid = 0 }: CallingProcessOptions): Promise<CallingProcess> {
    const script = join(import.meta.dirname, 'calling-process.py');
    const python = await TestProcess.start('/usr/bin/python3', [
      script,
      socketPath,
      relayPath,
      `${uid}`,
      `${successorUid}`,
    ]);
    return new CallingProcess(python, Number(await python.readLine()), relayPath);
  }

  /** See `calling-process.py`. */
  async tell(command: 'exec' | 'group' | 'end' | 'reuse'): Promise<void> {
    this.#python.writeLine(command);
    const answer = await this.#python.readLine();
    if (answer !== `done ${command}`) throw new Error(`the calling process did not ${command}: ${answer}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.channel[Symbol.dispose]();
    await this.#python.kill();
  }
}
