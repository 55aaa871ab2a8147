import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, readFileSync, readlinkSync, renameSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { openPidfd, openProcess } from '../../src/rpc/pidfd.ts';
import { statFields } from '../../src/rpc/process-fields.ts';
import { TestProcess } from '../harness/child-process.ts';
import { createTemporaryFolder } from '../harness/temporary-folder.ts';

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

test('a program that has forged where its code lies, and becomes the one that is there, is another', async () => {
  await using folder = await createTemporaryFolder();
  const [forging, victim] = [folder.join('forging'), folder.join('victim')];
  const source = fileURLToPath(new URL('../harness/forged-image.c', import.meta.url));
  execFileSync('cc', ['-Wall', '-Wextra', '-Werror', source, '-o', forging], { stdio: 'pipe' });
  copyFileSync('/bin/cat', victim);
  chmodSync(folder.path, 0o755);
  const asNobody = [
    '--reuid',
    '65534',
    '--regid',
    '65534',
    '--clear-groups',
    'setarch',
    '--addr-no-randomize',
    forging,
  ];
  const start = async (...fields: readonly string[]) => {
    const program = await TestProcess.start('setpriv', [...asNobody, victim, ...fields]);
    expect(await program.readLine()).toBe('ready');
    return program;
  };
  const imageOf = (pid: number) => statFields(readFileSync(`/proc/${pid}/stat`, 'latin1'), 26, 27, 28).map(String);
  const become = async (program: TestProcess) => {
    program.writeLine('go');
    await expect.poll(() => readlinkSync(`/proc/${program.pid}/exe`)).toBe(victim);
  };
  await using usual = await start();
  await become(usual);
  const expected = imageOf(usual.pid);
  await using forged = await start(...expected);
  using held = openProcess(forged.pid);
  expect(held.isUnchanged()).toBe(true);
  await become(forged);
  expect(imageOf(forged.pid)).toEqual(expected);
  expect(held.isUnchanged()).toBe(false);
});

test('a program whose file is replaced, as by an upgrade, is the same', async () => {
  await using folder = await createTemporaryFolder();
  for (const name of ['running', 'next']) copyFileSync('/bin/cat', folder.join(name));
  await using program = await TestProcess.start(folder.join('running'), []);
  using held = openProcess(program.pid);
  renameSync(folder.join('next'), folder.join('running'));
  expect(readlinkSync(`/proc/${program.pid}/exe`)).toBe(`${folder.join('running')} (deleted)`);
  expect(held.isUnchanged()).toBe(true);
});
