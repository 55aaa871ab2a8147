interface Disturbance {
  readonly from: number;
  until: number;
}

/** When something was broken on purpose. Times are milliseconds of the machine's clock. */
export class Disturbances {
  /** By their beginning. */
  readonly #all: Disturbance[] = [];

  /** @returns what ends it. */
  begin(): () => void {
    const disturbance = { from: Date.now(), until: Number.POSITIVE_INFINITY };
    this.#all.push(disturbance);
    return () => {
      disturbance.until = Date.now();
    };
  }

  /** Whether between two moments nothing was broken for so long at a stretch. */
  hadQuiet(from: number, until: number, lengthMs: number): boolean {
    let quietSince = from;
    for (const disturbance of this.#all) {
      if (disturbance.until <= quietSince) continue;
      if (disturbance.from >= until) break;
      if (disturbance.from - quietSince >= lengthMs) return true;
      quietSince = Math.max(quietSince, disturbance.until);
    }
    return until - quietSince >= lengthMs;
  }
}
