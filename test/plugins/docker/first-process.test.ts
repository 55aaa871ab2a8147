import { expect, test } from 'vitest';
import { openFirstProcess } from '../../../src/plugins/docker/first-process.ts';
import { TestProcess } from '../../harness/child-process.ts';

const ID = 'a'.repeat(64);
const told = (pid: number, startedAt?: string) => ({ Id: ID, State: { Pid: pid, StartedAt: startedAt }, Config: {} });
const ago = (seconds: number) => new Date(Date.now() - seconds * 1_000).toISOString();

test('the first process of a container is as old as the container', async () => {
  await using child = await TestProcess.start('/bin/cat', []);
  for (const startedAt of [ago(0), ago(0).replace('Z', '123456Z'), ago(0).replace('Z', '+00:00')]) {
    using first = await openFirstProcess(told(child.pid, startedAt));
    expect(first.pid).toBe(child.pid);
  }
});

test('one that has its number by now, before the runtime has noticed, is not its first', async () => {
  await using child = await TestProcess.start('/bin/cat', []);
  await expect(openFirstProcess(told(child.pid, ago(3_600)))).rejects.toMatchObject({
    code: 'ATTESTATION_DENIED',
    message: expect.stringMatching(
      `the first process of container ${ID} has ended, and another has its number: process ${child.pid} began \\d s ago, and the container, by its runtime, 360\\d s ago; where the clock`,
    ),
  });
  for (const startedAt of [undefined, '', 'yesterday', '0001-01-01T00:00:00Z']) {
    await expect(openFirstProcess(told(child.pid, startedAt))).rejects.toMatchObject({ code: 'ATTESTATION_DENIED' });
  }
});

test('of what began long ago, the time of day is not asked, which may have been set since', async () => {
  using first = await openFirstProcess(told(1, ago(10 ** 9)));
  expect(first.pid).toBe(1);
});

test('a container that does not run has none', async () => {
  await expect(openFirstProcess(told(0))).rejects.toThrow(`container ${ID} does not run`);
});
