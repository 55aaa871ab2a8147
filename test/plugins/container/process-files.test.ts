import { readFileSync, readlinkSync } from 'node:fs';
import { expect, test } from 'vitest';
import { readNamespace, readProcessFile, withSameProcess } from '../../../src/plugins/container/process-files.ts';
import { TestProcess } from '../../harness/child-process.ts';

test('this process', async () => {
  expect(await readProcessFile(process.pid, 'cgroup')).toBe(readFileSync('/proc/self/cgroup', 'utf8'));
  expect(await readNamespace(process.pid, 'mnt')).toBe(readlinkSync('/proc/self/ns/mnt'));
  expect(await withSameProcess(process.pid, async () => 'read')).toBe('read');
});

test('a process that ends while it is read gives nothing', async () => {
  const child = await TestProcess.start('/bin/cat', []);
  const reading = withSameProcess(child.pid, async () => {
    const cgroup = await readProcessFile(child.pid, 'cgroup');
    await child.kill();
    return cgroup;
  });
  await expect(reading).rejects.toMatchObject({
    code: 'ATTESTATION_DENIED',
    message: `process ${child.pid} ended while it was looked at, and its number may be another process's now`,
  });
  await expect(withSameProcess(child.pid, async () => 'read')).rejects.toMatchObject({
    code: 'WORKLOAD_UNREADABLE',
    message: `cannot read /proc/${child.pid}: the process is gone`,
  });
});

test('a process whose number another has by then gives nothing', async () => {
  // In a namespace of its own, where nobody else takes the number in between.
  const path = new URL('reused-number.main.ts', import.meta.url).pathname;
  const options = ['--pid', '--fork', '--mount-proc', '--kill-child'];
  await using reader = await TestProcess.start('unshare', [...options, process.execPath, path]);
  expect(await reader.readLine()).toMatch(
    /^same number true: process (\d+) ended while it was looked at, and its number may be another process's now$/,
  );
});

test.each([0, -1, 1.5, Number.NaN])('%s is no process ID', async (pid) => {
  await expect(readProcessFile(pid, 'cgroup')).rejects.toMatchObject({ code: 'ARGUMENT_INVALID' });
});
