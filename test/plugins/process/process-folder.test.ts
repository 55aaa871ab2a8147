import { readFileSync, readlinkSync } from 'node:fs';
import { expect, test } from 'vitest';
import { ProcessFolder } from '../../../src/plugins/process/process-folder.ts';
import { TestProcess } from '../../harness/child-process.ts';

test('this process', async () => {
  using folder = ProcessFolder.open(process.pid);
  expect(await folder.readText('cgroup')).toBe(readFileSync('/proc/self/cgroup', 'utf8'));
  expect(folder.readLink('ns/mnt')).toBe(readlinkSync('/proc/self/ns/mnt'));
  folder.requireAlive();
});

test('a process that ends while it is looked at gives nothing more', async () => {
  const child = await TestProcess.start('/bin/cat', []);
  using folder = ProcessFolder.open(child.pid);
  await folder.readText('cgroup');
  await child.kill();
  expect(() => folder.requireAlive()).toThrow(
    expect.objectContaining({
      code: 'ATTESTATION_DENIED',
      message: `process ${child.pid} ended while it was looked at, and its number may be another process's now`,
    }),
  );
  const gone = expect.objectContaining({
    code: 'WORKLOAD_UNREADABLE',
    message: expect.stringMatching(`cannot read /proc/${child.pid}.*: the process is gone`),
  });
  await expect(folder.readText('cgroup')).rejects.toThrow(gone);
  expect(() => folder.readLink('ns/mnt')).toThrow(gone);
  expect(() => ProcessFolder.open(child.pid)).toThrow(gone);
});

test('a process whose number another has by then gives nothing', async () => {
  // In a namespace of its own, where nobody else takes the number in between.
  const path = new URL('reused-number.main.ts', import.meta.url).pathname;
  const options = ['--pid', '--fork', '--mount-proc', '--kill-child'];
  await using reader = await TestProcess.start('unshare', [...options, process.execPath, path]);
  expect(await reader.readLine()).toMatch(
    /^same number true: cannot read \/proc\/(\d+)\/cgroup: the process is gone; process \1 ended/,
  );
});

test.each([0, -1, 1.5, Number.NaN])('%s is no process ID', (pid) => {
  expect(() => ProcessFolder.open(pid)).toThrow(expect.objectContaining({ code: 'ARGUMENT_INVALID' }));
});
