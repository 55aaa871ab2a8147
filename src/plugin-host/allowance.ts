export interface AllowanceOptions {
  readonly perSecond: number;
  /** What may be spent at once after a time of rest. */
  readonly burst: number;
  /** Milliseconds. */
  readonly now?: () => number;
}

/** So much a second and no more: what one plugin may cost the host, which others need too. */
export class Allowance {
  readonly #perSecond: number;
  readonly #burst: number;
  readonly #now: () => number;
  #balance: number;
  #at: number;

  constructor({ perSecond, burst, now = () => performance.now() }: AllowanceOptions) {
    this.#perSecond = perSecond;
    this.#burst = burst;
    this.#now = now;
    this.#balance = burst;
    this.#at = now();
  }

  /** Spends what has been used already. @returns milliseconds to wait before more is; 0 where there is some left. */
  spend(amount: number): number {
    this.#balance = this.#current() - amount;
    return this.#balance >= 0 ? 0 : (-this.#balance / this.#perSecond) * 1_000;
  }

  /** Spends `amount` if it is there. @returns whether it was */
  trySpend(amount: number): boolean {
    if (this.#current() < amount) return false;
    this.#balance -= amount;
    return true;
  }

  #current(): number {
    const now = this.#now();
    this.#balance = Math.min(this.#burst, this.#balance + ((now - this.#at) / 1_000) * this.#perSecond);
    this.#at = now;
    return this.#balance;
  }
}
