/**
 * Tells calls that are under way that they have to end. There may be thousands: an AbortSignal would go through all of its
 * listeners for each that comes, and for each that goes.
 */
export class Ending {
  readonly #listeners = new Set<() => void>();
  #hasBegun = false;

  /** @param listener is called once; at once where it has begun already */
  add(listener: () => void): void {
    if (this.#hasBegun) listener();
    else this.#listeners.add(listener);
  }

  delete(listener: () => void): void {
    this.#listeners.delete(listener);
  }

  begin(): void {
    this.#hasBegun = true;
    const listeners = [...this.#listeners];
    this.#listeners.clear();
    for (const listener of listeners) listener();
  }
}
