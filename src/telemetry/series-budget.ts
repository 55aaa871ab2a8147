/** The most that one plugin may have: each is memory here, and in whatever scrapes. */
export const MAX_NAMES = 100;
/** Lines of a scrape; a histogram is eighteen. */
export const MAX_LINES = 1_000;
export const MAX_LABEL_TEXT = 512;

/** What a plugin has used up of what it may have. Names and series live as long as the program. */
export class SeriesBudget {
  readonly #names = new Set<string>();
  readonly #onRefusal: (reason: string, name: string) => void;
  #lines = 0;

  constructor(onRefusal: (reason: string, name: string) => void) {
    this.#onRefusal = onRefusal;
  }

  /** Takes a new series into account. @returns false, and tells, where that is too much. */
  admit(name: string, labels: string, lines: number): boolean {
    const reason = this.#reasonAgainst(name, labels, lines);
    if (reason !== undefined) {
      this.refuse(reason, name);
      return false;
    }
    this.#names.add(name);
    this.#lines += lines;
    return true;
  }

  refuse(reason: string, name: string): void {
    this.#onRefusal(reason, name);
  }

  #reasonAgainst(name: string, labels: string, lines: number): string | undefined {
    if (labels.length > MAX_LABEL_TEXT) return `labels of more than ${MAX_LABEL_TEXT} characters`;
    if (!this.#names.has(name) && this.#names.size >= MAX_NAMES) return `more than ${MAX_NAMES} names`;
    if (this.#lines + lines > MAX_LINES) return `more than ${MAX_LINES} lines`;
    return undefined;
  }
}
