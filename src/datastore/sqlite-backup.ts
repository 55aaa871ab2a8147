import { type FileHandle, open, rm } from 'node:fs/promises';
import { backup, DatabaseSync } from 'node:sqlite';
import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import { SpiffeError } from '../spiffe/error.ts';
import { toDatastoreError } from './sqlite-error.ts';

export interface BackupProgress {
  readonly copiedPages: number;
  readonly totalPages: number;
}

/** A copy of a database, in a file that goes with its disposal. */
export interface DatastoreCopy extends AsyncDisposable {
  chunks(): AsyncIterable<Uint8Array>;
}

const PAGES_A_STEP = 1000;
const CHUNK_BYTES = 256 * 1024;

/**
 * Copies the database at `path` as it is now, beside it, while others write; then looks whether the copy is sound.
 *
 * @throws SpiffeError `DATASTORE_UNUSABLE` for a full disk or a damaged database
 */
export async function copySqliteFile(
  path: string,
  onProgress: (progress: BackupProgress) => void,
): Promise<DatastoreCopy> {
  const copyPath = `${path}.backup`;
  await rm(copyPath, { force: true }); // of a server that ended meanwhile
  try {
    await (await open(copyPath, 'wx', 0o600)).close();
    await copyPages(path, copyPath, onProgress);
    await requireSound(copyPath);
    const file = await open(copyPath, 'r');
    return { chunks: () => chunksOf(file), [Symbol.asyncDispose]: () => file.close() };
  } catch (error) {
    throw toDatastoreError(error);
  } finally {
    await rm(copyPath, { force: true }); // who has it open goes on reading
  }
}

/** The transaction that is open holds the state of its beginning: writers neither wait nor have it begin anew. */
async function copyPages(path: string, copyPath: string, onProgress: (progress: BackupProgress) => void) {
  const source = new DatabaseSync(path, { readOnly: true });
  try {
    source.exec('begin');
    source.prepare('select count(*) from sqlite_master').get();
    await backup(source, copyPath, {
      rate: PAGES_A_STEP,
      progress: ({ totalPages, remainingPages }) =>
        onProgress({ copiedPages: totalPages - remainingPages, totalPages }),
    });
  } finally {
    source.close();
  }
}

const CHECK = `const { workerData, parentPort } = require('node:worker_threads');
const { DatabaseSync } = require('node:sqlite');
const database = new DatabaseSync(new URL(workerData));
parentPort.postMessage(String(Object.values(database.prepare('pragma quick_check(1)').get())[0]));`;

/** In a thread of its own: it reads all, and the server goes on. */
async function requireSound(copyPath: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const url = pathToFileURL(copyPath);
  url.searchParams.set('immutable', '1');
  const worker = new Worker(CHECK, { eval: true, workerData: url.href });
  worker.once('message', resolve);
  worker.once('error', reject);
  const verdict = await promise.finally(() => worker.terminate());
  if (verdict === 'ok') return;
  throw new SpiffeError('DATASTORE_UNUSABLE', `datastore is damaged (${verdict}): restore its file from a backup`);
}

async function* chunksOf(file: FileHandle): AsyncGenerator<Uint8Array> {
  for (;;) {
    const { bytesRead, buffer } = await file.read(new Uint8Array(CHUNK_BYTES), 0, CHUNK_BYTES);
    if (bytesRead === 0) return;
    yield buffer.subarray(0, bytesRead);
  }
}
