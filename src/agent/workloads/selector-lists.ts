import { formatSelector, type Selector } from '../../spiffe/selector.ts';

/**
 * Gives equal lists of selectors as one object while somebody has it, so that what is made of them is made and kept once:
 * processes of one program and user have the same.
 */
export class SelectorLists {
  readonly #lists = new Map<string, WeakRef<readonly Selector[]>>();
  readonly #forget = new FinalizationRegistry<string>((key) => {
    if (this.#lists.get(key)?.deref() === undefined) this.#lists.delete(key);
  });

  unique(selectors: readonly Selector[]): readonly Selector[] {
    const key = selectors.map(formatSelector).join('\0'); // which no plugin's selector has
    const known = this.#lists.get(key)?.deref();
    if (known !== undefined) return known;
    this.#lists.set(key, new WeakRef(selectors));
    this.#forget.register(selectors, key);
    return selectors;
  }
}
