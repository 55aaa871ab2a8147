import { messageOf, type PluginRuntime } from '../../plugin-sdk/index.ts';
import { type CredentialPaths, type Credentials, readCredentials, versionOf } from './credentials.ts';

/** Credentials that follow their files: tokens and certificates are replaced while the agent runs. */
export class CredentialFiles {
  readonly #paths: CredentialPaths;
  readonly #intervalMs: number;
  readonly #log: PluginRuntime['log'];
  #current: Credentials;
  #version: string;
  #lookedAt = performance.now();
  #lastProblem: string | undefined;

  private constructor(
    paths: CredentialPaths,
    intervalMs: number,
    log: PluginRuntime['log'],
    version: string,
    current: Credentials,
  ) {
    this.#paths = paths;
    this.#intervalMs = intervalMs;
    this.#log = log;
    this.#version = version;
    this.#current = current;
  }

  /** @throws as {@link readCredentials} */
  static async open(paths: CredentialPaths, intervalMs: number, log: PluginRuntime['log']): Promise<CredentialFiles> {
    const version = await versionOf(paths); // before reading: a change in between is seen later
    return new CredentialFiles(paths, intervalMs, log, version, await readCredentials(paths));
  }

  /** Those of the moment, from files that were looked at within the interval. */
  async get(): Promise<Credentials> {
    if (performance.now() - this.#lookedAt >= this.#intervalMs) await this.reload();
    return this.#current;
  }

  /** Looks at the files now. What cannot be used is logged, and the last goes on. @returns whether there are others */
  async reload(): Promise<boolean> {
    this.#lookedAt = performance.now();
    try {
      const version = await versionOf(this.#paths);
      if (version === this.#version) return false;
      this.#current = await readCredentials(this.#paths);
      this.#version = version;
      this.#lastProblem = undefined;
      this.#log.info('the credentials for the kubelet were read again');
      return true;
    } catch (error) {
      const reason = messageOf(error);
      if (reason !== this.#lastProblem) {
        this.#log.warning('goes on with the last credentials for the kubelet', { reason });
      }
      this.#lastProblem = reason;
      return false;
    }
  }
}
