import type { TpmKeys } from './tpm-keys.ts';

export interface LostKeysWatchOptions {
  /** The TPM was cleared, and somebody has removed the file of its keys, so that there shall be new ones. Called once. */
  readonly onLost: () => void;
  /** The file was removed, and the TPM can load its keys still. */
  readonly onRemoved: () => void;
  /** How often the file is looked for. */
  readonly everyMs?: number;
}

const LOOK_MS = 2_000;

/**
 * Notices that keys are given up while they are in use. A file that is removed while the TPM can load them is no reason to: it is
 * written again with the next key.
 */
export class LostKeysWatch implements Disposable {
  readonly #keys: Pick<TpmKeys, 'isFileGone' | 'areOfTpm'>;
  readonly #options: LostKeysWatchOptions;
  readonly #timer: NodeJS.Timeout;
  #isLooking = false;
  #isWithoutFile = false;

  constructor(keys: Pick<TpmKeys, 'isFileGone' | 'areOfTpm'>, options: LostKeysWatchOptions) {
    this.#keys = keys;
    this.#options = options;
    this.#timer = setInterval(() => void this.#look(), options.everyMs ?? LOOK_MS).unref();
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  async #look(): Promise<void> {
    if (this.#isLooking) return;
    this.#isLooking = true;
    try {
      await this.#judge();
    } catch {
      // A TPM that does not answer is asked again; whoever uses a key is told what is wrong.
    } finally {
      this.#isLooking = false;
    }
  }

  async #judge(): Promise<void> {
    const isGone = await this.#keys.isFileGone();
    if (!isGone || this.#isWithoutFile) {
      this.#isWithoutFile = isGone;
    } else if (await this.#keys.areOfTpm()) {
      this.#isWithoutFile = true;
      this.#options.onRemoved();
    } else {
      this[Symbol.dispose]();
      this.#options.onLost();
    }
  }
}
