import { expect, test } from 'vitest';
import { openPidfd } from '../../src/rpc/pidfd.ts';
import { TestProcess } from '../harness/child-process.ts';

test('a handle on a process sees it end, and stays shut once closed', async () => {
  await using child = await TestProcess.start('cat', []);
  const pidfd = openPidfd(child.pid);
  const another = openPidfd(child.pid);
  expect([pidfd.isAlive(), another.isAlive()]).toEqual([true, true]);
  another.close();
  another.close();
  await child.kill();
  expect([pidfd.isAlive(), another.isAlive()]).toEqual([false, false]);
  pidfd.close();
});

test('a process that has ended, and one without a parent that reaps it, are no more', async () => {
  await using child = await TestProcess.start('sh', ['-c', 'true & echo $!; exec cat']); // cat reaps nobody
  const zombie = Number(await child.readLine());
  await expect
    .poll(() => {
      try {
        openPidfd(zombie).close();
        return 'there';
      } catch (error) {
        return error instanceof Error ? error.message : '';
      }
    })
    .toBe(`the caller, process ${zombie}, has ended`);
  await child.kill();
  expect(() => openPidfd(child.pid)).toThrow(expect.objectContaining({ code: 'UNAUTHENTICATED' }));
});

test.each([0, -1, 2 ** 31, 1.5, Number.NaN])('%d is no process', (pid) => {
  expect(() => openPidfd(pid)).toThrow(expect.objectContaining({ code: 'UNAUTHENTICATED' }));
});
