/** What a transaction can change: the log of entries or of agents, a bundle (own or federated), a CA journal. */
export type ChangedLog = 'entry' | 'agent' | 'bundle' | 'authority';

/** What was changed, each with the sequence that its log has reached. */
export type ChangedLogs = ReadonlyMap<ChangedLog, number>;

export interface Change {
  readonly log: ChangedLog;
}

export type ChangeListener = (change: Change) => void;

/** Tells what was changed, once that is stored. What exactly, a listener reads for itself. */
export class Changes {
  readonly #listeners = new Set<ChangeListener>();
  readonly #report: (error: unknown) => void;

  /** @param report hears of a listener that throws: the change is stored, so nobody else may learn of it. */
  constructor(report: (error: unknown) => void) {
    this.#report = report;
  }

  /** Calls `listener` after every change from now on, once a transaction and log. @returns what stops it. */
  subscribe(listener: ChangeListener): () => void {
    const own: ChangeListener = (change) => listener(change); // the same function may be there twice
    this.#listeners.add(own);
    return () => this.#listeners.delete(own);
  }

  announce(changed: ChangedLogs): void {
    for (const log of changed.keys()) {
      for (const listener of [...this.#listeners]) {
        try {
          listener({ log });
        } catch (error) {
          this.#report(error);
        }
      }
    }
  }
}
