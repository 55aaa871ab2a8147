import { expect, test } from 'vitest';
import { ProcessFolder } from '../../../src/plugins/process/process-folder.ts';
import { readProcessOwner, readProgramMark } from '../../../src/plugins/unix/process.ts';
import { openProcess } from '../../../src/rpc/pidfd.ts';
import { TestProcess } from '../../harness/child-process.ts';

test('the owner of this process', () => {
  const { getuid, getgid, getgroups } = process;
  using folder = ProcessFolder.open(process.pid);
  const owner = readProcessOwner(folder);
  expect([owner.uid, owner.gid]).toEqual([getuid?.(), getgid?.()]);
  // POSIX lets getgroups add the effective group, and Node does.
  expect(new Set([owner.gid, ...owner.supplementaryGids])).toEqual(new Set(getgroups?.()));
});

test.each(['\rUid:7 7', '\rGid:7 7', '\rGroups:7', '\nUid:7 7', '\u2028Uid:7 7'])(
  'a process that calls itself %j is who it is',
  async (name) => {
    const script = `require('node:fs').writeFileSync('/proc/self/comm', ${JSON.stringify(name)});
      console.log('ready'); setInterval(() => {}, 1e6)`;
    await using child = await TestProcess.node('-e', script);
    await child.readLine();
    using folder = ProcessFolder.open(child.pid);
    using own = ProcessFolder.open(process.pid);
    expect(readProcessOwner(folder)).toEqual(readProcessOwner(own));
    using peer = openProcess(child.pid);
    expect([peer.uid, peer.gid]).toEqual([process.getuid?.(), process.getgid?.()]);
  },
);

test.each([0, -1, 1.5, Number.NaN])('%s is no process id', (pid) => {
  expect(() => ProcessFolder.open(pid)).toThrow(expect.objectContaining({ code: 'ARGUMENT_INVALID' }));
});

test('a process that has ended cannot be read, and says so', async () => {
  await using child = await TestProcess.start('/bin/sleep', ['60']);
  using folder = ProcessFolder.open(child.pid);
  const mark = readProgramMark(folder);
  expect(readProgramMark(folder)).toBe(mark);
  await child.kill();
  const gone = expect.objectContaining({
    code: 'WORKLOAD_UNREADABLE',
    message: expect.stringMatching(/the process is gone$/),
  });
  expect(() => readProcessOwner(folder)).toThrow(gone);
  expect(() => ProcessFolder.open(child.pid)).toThrow(gone);
});

test('an exec of the same program leaves another mark', async () => {
  const script = `process.stdin.once('data', () => process.execve(process.execPath, [process.execPath, '-e', 'setInterval(() => {}, 1e6)']));
    console.log('ready')`;
  await using child = await TestProcess.node('-e', script);
  await child.readLine();
  using folder = ProcessFolder.open(child.pid);
  const mark = readProgramMark(folder);
  child.writeLine('now');
  await expect.poll(() => readProgramMark(folder)).not.toBe(mark);
});
