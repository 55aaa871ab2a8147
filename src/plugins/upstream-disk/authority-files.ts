import { setTimeout as sleep } from 'node:timers/promises';
import { findFileState, isSpiffeError, type PluginContext } from '../../plugin-sdk/index.ts';
import type { UpstreamDiskConfig } from './config.ts';
import { type DiskAuthority, readAuthority } from './read-authority.ts';

type Log = PluginContext['log'];

const POLL_MS = 2_000;

/** The authority of the configured files as they are now; while they are of no use, as they were. */
export class AuthorityFiles {
  readonly #config: UpstreamDiskConfig;
  readonly #trustDomain: string;
  #state: string;
  #authority: DiskAuthority;
  #reading: Promise<DiskAuthority> | undefined;

  private constructor(config: UpstreamDiskConfig, trustDomain: string, state: string, authority: DiskAuthority) {
    this.#config = config;
    this.#trustDomain = trustDomain;
    this.#state = state;
    this.#authority = authority;
  }

  /** @throws SpiffeError `CONFIG_INVALID` */
  static async open(config: UpstreamDiskConfig, trustDomain: string): Promise<AuthorityFiles> {
    const state = await stateOf(config);
    return new AuthorityFiles(config, trustDomain, state, await readAuthority(config, trustDomain));
  }

  /** Reads the files again where they have changed. */
  current(log: Log): Promise<DiskAuthority> {
    this.#reading ??= this.#refresh(log).finally(() => {
      this.#reading = undefined;
    });
    return this.#reading;
  }

  /** Every other authority from here on, until `signal` ends it. */
  async *changes(from: DiskAuthority, log: Log, signal: AbortSignal): AsyncGenerator<DiskAuthority, void, undefined> {
    let last = from;
    while (!signal.aborted) {
      const next = await this.current(log);
      if (next !== last) yield next;
      last = next;
      await sleep(POLL_MS, undefined, { signal }).catch(() => {});
    }
  }

  async #refresh(log: Log): Promise<DiskAuthority> {
    const state = await stateOf(this.#config); // before they are read: what changes meanwhile is read again
    if (state === this.#state) return this.#authority;
    this.#state = state;
    try {
      this.#authority = await readAuthority(this.#config, this.#trustDomain);
      log.info('the files of the upstream CA have changed and are in use');
    } catch (error) {
      if (!isSpiffeError(error)) throw error;
      log.error('the files of the upstream CA have changed and cannot be used: what they were before is', {
        error: error.message,
      });
    }
    return this.#authority;
  }
}

/** A word that changes whenever one of the files is replaced or written. */
async function stateOf({ cert_file_path, key_file_path, bundle_file_path }: UpstreamDiskConfig): Promise<string> {
  const paths = [cert_file_path, key_file_path, ...(bundle_file_path === undefined ? [] : [bundle_file_path])];
  const states = await Promise.all(paths.map(findFileState));
  return states.join('\n');
}
