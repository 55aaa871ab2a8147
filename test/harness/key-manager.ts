import type { ManagedTlsKeyOptions } from '../../src/rpc/managed-tls-key.ts';
import { TestProcess } from './child-process.ts';

const SCRIPT = new URL('key-manager-process.ts', import.meta.url).pathname;

/** A key manager in a process of its own, whose keys behave as their ids say. */
export class KeyManagerProcess implements AsyncDisposable {
  readonly process: TestProcess;
  readonly #socketPath: string;
  readonly #publicKeys: Readonly<Record<string, string>>;

  private constructor(process: TestProcess, socketPath: string, publicKeys: Readonly<Record<string, string>>) {
    this.process = process;
    this.#socketPath = socketPath;
    this.#publicKeys = publicKeys;
  }

  static async start(socketPath: string): Promise<KeyManagerProcess> {
    const started = await TestProcess.node(SCRIPT, socketPath);
    return new KeyManagerProcess(started, socketPath, JSON.parse((await started.readLine()) ?? ''));
  }

  options(keyId: string): ManagedTlsKeyOptions {
    const publicKey = Buffer.from(this.#publicKeys[keyId] ?? '', 'base64');
    return { keyId, publicKey, endpoint: { socketPath: this.#socketPath, side: 'agent' } };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.process[Symbol.asyncDispose]();
  }
}
