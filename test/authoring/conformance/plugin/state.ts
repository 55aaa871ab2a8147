import { SpiffeError } from '../../../../src/spiffe/error.ts';

/** What a plugin for tests was told, and the one defect that it has. */
export class PluginState {
  /** Empty in a plugin that is as it should be. */
  readonly defect: string;
  /** A path for what outlives the process. */
  readonly file: string;
  /** Undefined before Configure. */
  trustDomain: string | undefined;
  /** Calls so far, and calls that go on. */
  calls = 0;
  running = 0;

  constructor(defect: string, file: string) {
    this.defect = defect;
    this.file = file;
  }

  has(defect: string): boolean {
    return this.defect === defect;
  }

  /** The beginning of every call of the plugin's own service. */
  async enter(): Promise<string> {
    this.calls++;
    if (this.trustDomain === undefined) {
      if (this.has('config-before-internal')) throw new SpiffeError('INTERNAL', 'no state');
      throw new SpiffeError('FAILED_PRECONDITION', 'not configured');
    }
    if (this.has('blocks') && this.calls > 50) await new Promise(() => {});
    if (this.has('one-at-a-time')) await this.#alone();
    return this.trustDomain;
  }

  async #alone(): Promise<void> {
    if (this.running > 0) throw new SpiffeError('TOO_LARGE', 'busy');
    this.running++;
    await new Promise((resolve) => setTimeout(resolve, 50));
    this.running--;
  }
}
