import type { Status as ItemStatus } from '../gen/spire/api/types/types.ts';
import { SpiffeError } from '../spiffe/error.ts';
import { Status } from '../spiffe/status.ts';

/** @param what such as `delete the bundle`. @throws SpiffeError where the one item of a batch failed */
export function requireDone(status: ItemStatus | undefined, what: string): void {
  if (status?.code === Status.Ok) return;
  throw new SpiffeError('FAILED_PRECONDITION', `failed to ${what}: ${status?.message || 'the server gave no reason'}`);
}
