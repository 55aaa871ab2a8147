import { type FileHandle, open } from 'node:fs/promises';
import { SpiffeError } from '../spiffe/error.ts';

/**
 * Takes what SQLite has committed to the disk, while the program goes on: SQLite itself would have it stand still for as long
 * as the disk takes. All that wait at one moment share what comes next.
 */
export class WriteAheadLog implements AsyncDisposable {
  readonly #file: Pick<FileHandle, 'datasync' | 'close'>;
  #running: Promise<void> | undefined;
  /** Begins after all that was committed until now. */
  #next: Promise<void> | undefined;
  #failure: SpiffeError | undefined;

  constructor(file: Pick<FileHandle, 'datasync' | 'close'>) {
    this.#file = file;
  }

  /** @param databasePath of a database in WAL mode that SQLite has open. Source: sqlite.org/walformat.html §1 */
  static async open(databasePath: string): Promise<WriteAheadLog> {
    return new WriteAheadLog(await open(`${databasePath}-wal`, 'r'));
  }

  /**
   * Resolves once all that was committed before is on the disk.
   *
   * @throws SpiffeError `DATASTORE_UNUSABLE` after an error of the disk, always from then on
   */
  async flush(): Promise<void> {
    this.#next ??= this.#follow(this.#running);
    await this.#next;
  }

  /**
   * What the system could not write it forgets, and the next time it reports no error: nothing that is written from then on
   * could be relied on.
   *
   * @throws SpiffeError `DATASTORE_UNUSABLE` after an error of the disk
   */
  requireSound(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Those who wait are served first. */
  async [Symbol.asyncDispose](): Promise<void> {
    await (this.#next ?? this.#running)?.catch(() => {});
    await this.#file.close();
  }

  async #follow(before: Promise<void> | undefined): Promise<void> {
    await before?.catch(() => {}); // told to those who waited for it
    this.#running = this.#next;
    this.#next = undefined;
    this.requireSound();
    try {
      await this.#file.datasync();
    } catch (cause) {
      this.#failure = new SpiffeError(
        'DATASTORE_UNUSABLE',
        'datastore could not be written to its disk: check the disk, then start the server again',
        { cause },
      );
      throw this.#failure;
    }
  }
}
