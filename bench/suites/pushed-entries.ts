import { setTimeout as delay } from 'node:timers/promises';
import { EntryDefinition } from '../../src/gen/spire/api/server/entry/v1/entry.ts';
import type { X509SVIDResponse } from '../../src/gen/workload/workload.ts';
import type { ServerStreamCall } from '../../src/rpc/client.ts';
import { createEntries } from '../driver/entries.ts';
import { type BenchServer, TRUST_DOMAIN } from '../process/server.ts';
import { entryOfThisUser } from './workload-loads.ts';

/** How long each took to come to the workload's stream, from the call to the server; milliseconds. */
export interface PushTimes {
  readonly created: readonly number[];
  readonly deleted: readonly number[];
}

/**
 * Entries of this user that come and go, one after the other.
 *
 * @param stream of a workload of this user, at an agent of the node `/node`
 * @param quietMs after each change
 */
export async function pushEntries(
  server: BenchServer,
  stream: ServerStreamCall<X509SVIDResponse>,
  count: number,
  quietMs: number,
): Promise<PushTimes> {
  const created: number[] = [];
  const deleted: number[] = [];
  for (let number = 0; number < count; number += 1) {
    const path = `/pushed/${number}`;
    const beforeCreation = performance.now();
    const [id = ''] = await createEntries(server.channel, [{ ...entryOfThisUser('/node'), path }]);
    await waitForIds(stream, (paths) => paths.includes(path));
    created.push(performance.now() - beforeCreation);
    await delay(quietMs);
    const beforeDeletion = performance.now();
    await server.admin(EntryDefinition).batchDeleteEntry({ ids: [id] });
    await waitForIds(stream, (paths) => !paths.includes(path));
    deleted.push(performance.now() - beforeDeletion);
    await delay(quietMs);
  }
  return { created, deleted };
}

/** Resolves once the workload is told of SPIFFE IDs with such paths. */
export async function waitForIds(
  stream: ServerStreamCall<X509SVIDResponse>,
  isDone: (paths: readonly string[]) => boolean,
): Promise<void> {
  for (;;) {
    const answer = await stream.receive();
    if (answer === undefined) throw new Error('the stream of the workload ended');
    if (isDone(answer.svids.map(({ spiffeId }) => spiffeId.slice(`spiffe://${TRUST_DOMAIN}`.length)))) return;
  }
}
