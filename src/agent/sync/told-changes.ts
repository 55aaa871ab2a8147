/** What a server that tells of changes said has changed. */
export interface ServerNews {
  /** The only entries that are other than before; undefined where all, and bundles, are to be asked for. */
  readonly entryIds: readonly string[] | undefined;
}

/** What there is to ask the server for: everything, until it was asked and tells of what changes from then on. */
export class ToldChanges {
  #entryIds: Set<string> | undefined;

  add({ entryIds }: ServerNews): void {
    if (entryIds === undefined) this.#entryIds = undefined;
    else for (const id of entryIds) this.#entryIds?.add(id);
  }

  /** Nobody knows what has changed. */
  addAll(): void {
    this.#entryIds = undefined;
  }

  /** To be called before it is asked for: what is told meanwhile is for the next time. @returns undefined for everything. */
  take(): ReadonlySet<string> | undefined {
    const ids = this.#entryIds;
    this.#entryIds = new Set();
    return ids;
  }
}
