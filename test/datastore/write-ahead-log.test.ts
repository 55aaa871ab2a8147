import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { WriteAheadLog } from '../../src/datastore/write-ahead-log.ts';

/** A file whose writing to the disk ends when the test says so. */
class SlowFile {
  begun = 0;
  isClosed = false;
  readonly #ends: ((error?: Error) => void)[] = [];

  datasync(): Promise<void> {
    this.begun++;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#ends.push((error) => (error === undefined ? resolve() : reject(error)));
    return promise;
  }

  async close(): Promise<void> {
    this.isClosed = true;
  }

  async end(error?: Error): Promise<void> {
    this.#ends.shift()?.(error);
    await turn();
  }
}

/** Which of them have been served. */
function follow(log: WriteAheadLog, names: readonly string[], served: string[]): readonly Promise<void>[] {
  return names.map(async (name) => {
    await log.flush();
    served.push(name);
  });
}

test('those that wait at one moment share one, which began after they came', async () => {
  const file = new SlowFile();
  const log = new WriteAheadLog(file);
  const served: string[] = [];
  follow(log, ['a', 'b'], served);
  await turn();
  follow(log, ['c', 'd'], served);
  await turn();
  expect([file.begun, served]).toEqual([1, []]);
  await file.end();
  expect([file.begun, served]).toEqual([2, ['a', 'b']]);
  await file.end();
  expect([file.begun, served]).toEqual([2, ['a', 'b', 'c', 'd']]);
  follow(log, ['e'], served);
  await turn();
  expect(file.begun).toBe(3);
  await file.end();
  expect(served).toContain('e');
});

test('an error of the disk is told to all that wait, and to all that come later: the system reports it once', async () => {
  const file = new SlowFile();
  const log = new WriteAheadLog(file);
  log.requireSound();
  const waiting = [log.flush(), log.flush()];
  await turn();
  waiting.push(log.flush());
  const refused = expect.objectContaining({
    code: 'DATASTORE_UNUSABLE',
    message: 'datastore could not be written to its disk: check the disk, then start the server again',
  });
  const outcomes = Promise.allSettled(waiting);
  await file.end(new Error('EIO'));
  expect((await outcomes).map((outcome) => outcome.status === 'rejected' && outcome.reason)).toEqual([
    refused,
    refused,
    refused,
  ]);
  await expect(log.flush()).rejects.toEqual(refused);
  expect(() => log.requireSound()).toThrow(refused as Error);
  expect(file.begun).toBe(1);
});

test('closing waits for what is under way', async () => {
  const file = new SlowFile();
  const log = new WriteAheadLog(file);
  const served: string[] = [];
  follow(log, ['a'], served);
  await turn();
  follow(log, ['b'], served);
  const closed = log[Symbol.asyncDispose]();
  await file.end();
  expect(file.isClosed).toBe(false);
  await file.end();
  await closed;
  expect([served, file.isClosed]).toEqual([['a', 'b'], true]);
});
