import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { MessageQueue } from '../../src/rpc/message-queue.ts';
import { ExpectedRequests } from '../../src/server/api/expected-requests.ts';
import { SpiffeError } from '../../src/spiffe/error.ts';

const HOUR_MS = 3_600_000;

test('requests come as they are asked for, and the end after them', async () => {
  const queue = new MessageQueue<number>();
  using requests = new ExpectedRequests(queue, HOUR_MS);
  queue.push(1);
  expect(await requests.next()).toBe(1);
  const second = requests.next();
  queue.push(2);
  expect(await second).toBe(2);
  queue.push(3);
  queue.end();
  await turn();
  expect([await requests.next(), await requests.next(), await requests.next()]).toEqual([3, undefined, undefined]);
  expect(requests.signal.aborted).toBe(false);
});

test('whoever sends ahead is refused, and what comes later is not kept', async () => {
  let isLeft = false;
  const queue = new MessageQueue<number>({ onReturn: () => (isLeft = true) });
  using requests = new ExpectedRequests(queue, HOUR_MS);
  for (const request of [1, 2, 3, 4]) queue.push(request);
  await expect.poll(() => requests.signal.aborted).toBe(true);
  await expect(requests.next()).rejects.toMatchObject({ code: 'ARGUMENT_INVALID' });
  await expect.poll(() => [isLeft, queue.size]).toEqual([true, 0]);
});

test('whoever takes too long is refused', async () => {
  using requests = new ExpectedRequests(new MessageQueue<number>(), 1);
  await expect(requests.next()).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
  expect(requests.signal.reason).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
});

test('a stream that fails fails the request that is waited for, and the next', async () => {
  const queue = new MessageQueue<number>();
  using requests = new ExpectedRequests(queue, HOUR_MS);
  const waiting = requests.next();
  queue.fail(new SpiffeError('CANCELLED', 'gone'));
  await expect(waiting).rejects.toMatchObject({ code: 'CANCELLED' });
  await expect(requests.next()).rejects.toMatchObject({ code: 'CANCELLED' });
});
