import { createHash } from 'node:crypto';
import type { Datastore } from '../../datastore/datastore.ts';
import type { BackupProgress } from '../../datastore/sqlite-backup.ts';
import { type BackupResponse, DatastoreDefinition } from '../../gen/assayer/server/datastore/v1/datastore.ts';
import { MessageQueue } from '../../rpc/message-queue.ts';
import { type BoundService, bindService } from '../../rpc/service.ts';
import { SpiffeError } from '../../spiffe/error.ts';

/** Our own service: what an administrator does with the database itself. */
export function datastoreService(datastore: Pick<Datastore, 'backup'>): BoundService {
  let isCopying = false;
  return bindService(DatastoreDefinition, {
    async *backup() {
      if (isCopying) throw new SpiffeError('FAILED_PRECONDITION', 'a backup is under way already: wait for its end');
      isCopying = true;
      try {
        yield* copyOf(datastore);
      } finally {
        isCopying = false;
      }
    },
  });
}

async function* copyOf(datastore: Pick<Datastore, 'backup'>): AsyncGenerator<BackupResponse> {
  const progress = new MessageQueue<BackupProgress>();
  const copying = datastore.backup((step) => progress.push(step)).finally(() => progress.end());
  copying.catch(() => {}); // its failure is awaited below, once there is no more progress
  for await (const { copiedPages, totalPages } of progress) {
    const value = { copiedPages: BigInt(copiedPages), totalPages: BigInt(totalPages) };
    yield { step: { $case: 'progress', value } };
  }
  await using copy = await copying;
  const hash = createHash('sha256');
  let bytes = 0n;
  for await (const chunk of copy.chunks()) {
    hash.update(chunk);
    bytes += BigInt(chunk.length);
    yield { step: { $case: 'chunk', value: chunk } };
  }
  yield { step: { $case: 'done', value: { bytes, sha256: new Uint8Array(hash.digest()) } } };
}
