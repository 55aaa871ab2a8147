import { Status } from '../spiffe/status.ts';
import { statusOf } from './status.ts';

/** Told when a call has ended, and after how long. */
export type CallEnded = (status: Status, elapsedMs: number) => void;

/** Asked once a method, which is `/package.Service/Method`. */
export type ObserveCalls = (path: string) => CallEnded;

/** Runs a call and tells how it ended. */
export async function observed<Result>(ended: CallEnded, call: () => Promise<Result>): Promise<Result> {
  const startedAt = performance.now();
  try {
    const result = await call();
    ended(Status.Ok, performance.now() - startedAt);
    return result;
  } catch (error) {
    ended(statusOf(error), performance.now() - startedAt);
    throw error;
  }
}
