import { readFileSync, readlinkSync } from 'node:fs';
import { expect, test } from 'vitest';
import {
  readNamespace,
  readProcessFile,
  readStartTime,
  withSameProcess,
} from '../../../src/plugins/container/process-files.ts';
import { TestProcess } from '../../harness/child-process.ts';

test('this process', async () => {
  expect(await readProcessFile(process.pid, 'cgroup')).toBe(readFileSync('/proc/self/cgroup', 'utf8'));
  expect(await readNamespace(process.pid, 'mnt')).toBe(readlinkSync('/proc/self/ns/mnt'));
  expect(await withSameProcess(process.pid, async () => 'read')).toBe('read');
});

test('a process whose name has spaces and parentheses', async () => {
  await using child = await TestProcess.start('/bin/bash', ['-c', 'printf ") R 1 (" > /proc/self/comm; echo; read _']);
  await child.readLine();
  expect(await readStartTime(child.pid)).toMatch(/^\d{2,}$/);
});

test('a process that ends while it is read gives nothing', async () => {
  const child = await TestProcess.start('/bin/cat', []);
  const reading = withSameProcess(child.pid, async () => {
    const cgroup = await readProcessFile(child.pid, 'cgroup');
    await child.kill();
    return cgroup;
  });
  await expect(reading).rejects.toMatchObject({
    code: 'WORKLOAD_UNREADABLE',
    message: `cannot read /proc/${child.pid}/stat: the process is gone`,
  });
});

test.each([0, -1, 1.5, Number.NaN])('%s is no process ID', async (pid) => {
  await expect(readStartTime(pid)).rejects.toMatchObject({ code: 'ARGUMENT_INVALID' });
});
