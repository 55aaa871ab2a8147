import type { Status as ApiStatus } from '../../gen/spire/api/types/types.ts';
import { statusOf } from '../../rpc/status.ts';
import { SpiffeError } from '../../spiffe/error.ts';
import { Status } from '../../spiffe/status.ts';

/** The status of one item of a batch that went well. */
export const ITEM_OK: ApiStatus = { code: Status.Ok, message: 'OK' };

/**
 * The status of one item of a batch, which fails alone.
 *
 * @throws what was not raised on purpose: that fails the whole call.
 */
export function itemStatus(error: unknown): ApiStatus {
  if (!(error instanceof SpiffeError)) throw error;
  return { code: statusOf(error), message: error.message };
}
