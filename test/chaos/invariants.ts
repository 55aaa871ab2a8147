import type { EntryBook } from './entry-book.ts';
import type { Told, Workload } from './workload.ts';

/** What is never to happen. */
export interface Violation {
  readonly at: number;
  readonly what: string;
}

/** Counts what workloads are told, and finds what they should not have been. */
export class Invariants {
  readonly violations: Violation[] = [];
  readonly counts = new Map<string, number>();
  /** When the first answer after a moment came, for whoever waits. */
  readonly #waiting = new Set<(told: Told) => void>();
  readonly #book: EntryBook;
  readonly #onViolation: (what: string) => void;

  constructor(book: EntryBook, onViolation: (what: string) => void) {
    this.#book = book;
    this.#onViolation = onViolation;
  }

  /** To be told of everything that a workload is told. */
  look({ selectors, place }: Pick<Workload, 'selectors' | 'place'>, told: Told): void {
    const { at, kind, held, fault, code, message } = told;
    this.#count(code === undefined ? kind : `${kind} ${code}`);
    const who = `the workload of user ${place.uid}, lane ${place.lane},`;
    if (fault !== undefined) this.violate(`${who} got by ${kind} what does not hold: ${fault}`, at);
    for (const { id } of held) {
      if (!this.#book.mayHave(id, selectors, at))
        this.violate(`${who} got ${id} by ${kind}, which no entry gives it`, at);
    }
    if (code === 'PermissionDenied') {
      const due = this.#book.mustHave(selectors, at);
      if (due.length > 0) this.violate(`${who} was refused by ${kind} ("${message}"), and has ${due.join(', ')}`, at);
    }
    if (kind === 'x509') for (const notify of this.#waiting) notify(told);
  }

  violate(what: string, at = Date.now()): void {
    this.violations.push({ at, what });
    this.#onViolation(what);
  }

  /** The time of the next X.509 answer that any workload gets. */
  async nextAnswer(signal: AbortSignal): Promise<number | undefined> {
    return await new Promise((resolve) => {
      const settle = (at: number | undefined) => {
        this.#waiting.delete(notify);
        signal.removeEventListener('abort', giveUp);
        resolve(at);
      };
      const notify = ({ at }: Told) => settle(at);
      const giveUp = () => settle(undefined);
      this.#waiting.add(notify);
      signal.addEventListener('abort', giveUp, { once: true });
    });
  }

  #count(what: string): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1);
  }
}
