import { SpiffeError } from '../../spiffe/error.ts';
import type { AuthorizedEntry } from '../server-api/authorized-entry.ts';
import type { SyncStatus } from '../sync/sync-status.ts';

/** Nothing can be given to a workload for the time being, since the server is needed for it: the workload may try again. */
export class HinderedError extends SpiffeError {
  constructor(message: string) {
    super('UNAVAILABLE', message);
  }
}

export interface HindranceOptions {
  readonly status: Pick<SyncStatus, 'standing' | 'refusalOf'>;
  /** The server's. */
  readonly address: string;
  readonly port: number;
}

/**
 * Why workloads with these entries wait for an X.509-SVID in vain, as far as is known: the server fails the agent, or did
 * not sign for any of them. Undefined where one may come.
 *
 * @param entries that have none; undefined where it is not known which there are
 */
export function findHindrance(
  entries: readonly AuthorizedEntry[] | undefined,
  { status, address, port }: HindranceOptions,
): HinderedError | undefined {
  const { standing } = status;
  const [first] = entries ?? [];
  const server = `${address} port ${port}`;
  if (standing !== undefined) {
    const what =
      first === undefined
        ? `this agent does not know its entries yet, and since ${time(standing.since)} cannot have them`
        : `no X.509-SVID of ${first.spiffeId} is there that is valid, and since ${time(standing.since)} none can be had`;
    return new HinderedError(`${what} from the server at ${server}: ${standing.reason}`);
  }
  const refusals = entries?.map(({ id }) => status.refusalOf(id)) ?? [];
  const [refusal] = refusals;
  if (first === undefined || refusal === undefined || refusals.includes(undefined)) return undefined;
  return new HinderedError(
    `no X.509-SVID of ${first.spiffeId} is there that is valid, and at ${time(refusal.at)} none could be had from the server at ${server}: ${refusal.reason}`,
  );
}

function time(date: Date): string {
  return `${date.toISOString().slice(0, 19)}Z`;
}
