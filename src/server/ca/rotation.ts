/** When an authority's successor is made, and when it takes over. Source: inventory B001. */
export interface RotationTimes {
  readonly prepareAt: number;
  readonly activateAt: number;
}

/** Longest times before the end at which the successor is made and takes over, in seconds. */
const MAX_PREPARATION_SECONDS = 30 * 24 * 3600;
const MAX_ACTIVATION_SECONDS = 7 * 24 * 3600;

/** At half of the life and at five sixths of it; with a very long life, 30 and 7 days before its end. */
export function rotationTimes({ issuedAt, notAfter }: { issuedAt: number; notAfter: number }): RotationTimes {
  const life = notAfter - issuedAt;
  return {
    prepareAt: notAfter - Math.min(life / 2, MAX_PREPARATION_SECONDS),
    activateAt: notAfter - Math.min(life / 6, MAX_ACTIVATION_SECONDS),
  };
}
