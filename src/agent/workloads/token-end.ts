import { decodeUnverifiedJwtSvid } from '../../spiffe/jwt-svid.ts';

/** What a server says beyond that is a mistake, and no token is kept for it. */
const LONGEST_MS = 31 * 24 * 3_600_000;

/**
 * When a token that the server made ends: by the server's word or the token's own, whichever is first, and in a month at the
 * latest.
 *
 * @param saidSeconds Unix seconds, any number that fits
 * @throws SpiffeError `SVID_INVALID` for what is no token
 */
export function tokenEnd(saidSeconds: bigint, token: string, receivedAt: Date): Date {
  const { expiresAt } = decodeUnverifiedJwtSvid(token);
  const ends = [Number(saidSeconds) * 1000, expiresAt.getTime(), receivedAt.getTime() + LONGEST_MS];
  return new Date(Math.max(0, Math.min(...ends)));
}
