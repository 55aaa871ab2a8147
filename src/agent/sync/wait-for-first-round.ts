import { aborted } from '../../plugin-host/aborted.ts';
import { sleep } from '../../rpc/sleep.ts';
import { SpiffeError } from '../../spiffe/error.ts';
import type { ServerConnection } from '../server-api/server-connection.ts';

export interface FirstRoundOptions {
  /** Settled after the first round, whatever came of it. */
  readonly firstRound: Promise<void>;
  readonly connection: Pick<ServerConnection, 'isConnected'>;
  /** Whether there is something to serve from without the server. */
  readonly hasCache: boolean;
  readonly signal: AbortSignal;
}

/** How long a start waits, while there is a cache, for a server that nothing is heard of, and for one that is connected. */
const CONNECTION_MS = 500;
const FIRST_SYNC_MS = 5_000;

/** Waits for the server's first word; not for long where there is a cache to serve from. @throws SpiffeError `CANCELLED` */
export async function waitForFirstRound({
  firstRound,
  connection,
  hasCache,
  signal,
}: FirstRoundOptions): Promise<void> {
  const over = new AbortController();
  const patience = hasCache ? losePatience(connection, AbortSignal.any([signal, over.signal])) : aborted(signal);
  try {
    await Promise.race([firstRound, patience]);
  } finally {
    over.abort();
  }
  if (signal.aborted) throw new SpiffeError('CANCELLED', 'the start was given up');
}

async function losePatience(connection: FirstRoundOptions['connection'], signal: AbortSignal): Promise<void> {
  await sleep(CONNECTION_MS, signal);
  if (!signal.aborted && connection.isConnected) await sleep(FIRST_SYNC_MS - CONNECTION_MS, signal);
}
