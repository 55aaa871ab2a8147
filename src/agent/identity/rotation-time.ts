import { jittered } from '../../rpc/backoff.ts';

export interface RotationOptions {
  readonly receivedAt: Date;
  readonly expiresAt: Date;
  /** SVIDs are replaced early enough to outlive an outage this long, where their life allows it. */
  readonly availabilityTargetSeconds?: number | undefined;
}

/** An availability target counts where this much of the life is left to work with. Inventory B010. */
const MIN_REST_MS = 12 * 3600 * 1000;

/**
 * When an SVID is to be replaced: at about half of its life, counted from its receipt, or somewhat before no more than
 * the availability target is left of it.
 */
export function rotationTime({ receivedAt, expiresAt, availabilityTargetSeconds = 0 }: RotationOptions): Date {
  const lifeMs = expiresAt.getTime() - receivedAt.getTime();
  const untilTargetMs = lifeMs - availabilityTargetSeconds * 1000;
  const hasTarget = availabilityTargetSeconds > 0 && untilTargetMs >= MIN_REST_MS;
  const usedMs = hasTarget ? Math.min(jittered(untilTargetMs), untilTargetMs) : jittered(lifeMs / 2);
  return new Date(receivedAt.getTime() + usedMs);
}

/** Whether an SVID lives too short for the availability target that there is, so that it is replaced as without one. */
export function missesTarget({ receivedAt, expiresAt, availabilityTargetSeconds = 0 }: RotationOptions): boolean {
  const lifeMs = expiresAt.getTime() - receivedAt.getTime();
  return availabilityTargetSeconds > 0 && lifeMs - availabilityTargetSeconds * 1000 < MIN_REST_MS;
}

/** The sentence for {@link missesTarget}. */
export const TARGET_MISSED =
  'an X.509-SVID does not live 12 hours longer than availability_target, which does not count for it: it is replaced at half of its life';
