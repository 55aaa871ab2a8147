import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { copyFile, readFile, rm } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { hashExecutable, readExecutablePath, readProcessOwner } from '../../../src/plugins/unix/process.ts';
import { createTemporaryFolder } from '../../harness/temporary-folder.ts';

test('the owner of this process', async () => {
  const { getuid, getgid, getgroups } = process;
  const owner = await readProcessOwner(process.pid);
  expect([owner.uid, owner.gid]).toEqual([getuid?.(), getgid?.()]);
  // POSIX lets getgroups add the effective group, and Node does.
  expect(new Set([owner.gid, ...owner.supplementaryGids])).toEqual(new Set(getgroups?.()));
});

test('the hash is of the file that is mapped, though another one has its path by now', async () => {
  await using folder = await createTemporaryFolder();
  const path = folder.join('program');
  await copyFile('/bin/sleep', path);
  const child = spawn(path, ['60']);
  await once(child, 'spawn');
  const pid = child.pid ?? 0;
  const expected = createHash('sha256')
    .update(await readFile('/bin/sleep'))
    .digest('hex');
  expect(await readExecutablePath(pid)).toBe(path);
  await rm(path);
  await copyFile('/bin/cat', path);
  expect(await hashExecutable(pid, 0)).toBe(expected);
  child.kill('SIGKILL');
  await once(child, 'exit');
  await expect(readProcessOwner(pid)).rejects.toMatchObject({
    message: expect.stringContaining('the process is gone'),
  });
});

test.each([0, -1, 1.5, Number.NaN])('%s is no process id', async (pid) => {
  await expect(readProcessOwner(pid)).rejects.toMatchObject({ code: 'ARGUMENT_INVALID' });
});

test('an executable larger than the limit is refused', async () => {
  await expect(hashExecutable(process.pid, 1_000)).rejects.toMatchObject({
    code: 'TOO_LARGE',
    message: expect.stringContaining('workload_size_limit is 1000'),
  });
});
