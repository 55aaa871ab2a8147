import { createHash } from 'node:crypto';
import { chmod, copyFile, link, readFile, rename, rm, truncate, utimes } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { ProcessFolder } from '../../../src/plugins/process/process-folder.ts';
import { readExecutablePath } from '../../../src/plugins/unix/executable.ts';
import { ExecutableHashes } from '../../../src/plugins/unix/executable-hashes.ts';
import { TestProcess } from '../../harness/child-process.ts';
import { createTemporaryFolder } from '../../harness/temporary-folder.ts';

const sha256Of = async (path: string) =>
  createHash('sha256')
    .update(await readFile(path))
    .digest('hex');

const { signal } = new AbortController();

/** A copy of `sleep` that runs. */
async function startCopy(name = 'program', command: readonly string[] = [], bytes?: number) {
  const stack = new AsyncDisposableStack();
  const folder = stack.use(await createTemporaryFolder());
  const path = folder.join(name);
  await copyFile('/bin/sleep', path);
  if (bytes !== undefined) await truncate(path, bytes);
  const [program = path, ...args] = [...command, path, '60'];
  const child = stack.use(await TestProcess.start(program, args));
  const opened = stack.use(ProcessFolder.open(child.pid));
  await expect.poll(() => opened.readLink('exe')).toContain(path);
  return { path, folder, process: opened, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

test('path and hash are of the file that is mapped, though another one has its path by now', async () => {
  await using copy = await startCopy();
  expect(await readExecutablePath(copy.process)).toBe(copy.path);
  await rm(copy.path);
  await copyFile('/bin/cat', copy.path);
  expect(copy.process.readLink('exe')).toBe(`${copy.path} (deleted)`);
  expect(await readExecutablePath(copy.process)).toBe(copy.path);
  expect(await new ExecutableHashes().hash(copy.process, 0, signal)).toBe(await sha256Of('/bin/sleep'));
});

test('a file that is called as if it were deleted is called so', async () => {
  await using copy = await startCopy('program (deleted)');
  expect(await readExecutablePath(copy.process)).toBe(copy.path);
});

test('of a file that is removed but has another name, nobody says that it has the first', async () => {
  await using copy = await startCopy();
  await link(copy.path, copy.folder.join('other'));
  await rm(copy.path);
  expect(await readExecutablePath(copy.process)).toBe(`${copy.path} (deleted)`);
});

test('a path that is not UTF-8 is refused, as it would look like others', async () => {
  await using copy = await startCopy();
  const odd = Buffer.concat([Buffer.from(`${copy.path}-`), Buffer.of(0xff)]);
  await rename(copy.path, odd);
  await expect(readExecutablePath(copy.process)).rejects.toMatchObject({
    code: 'WORKLOAD_UNREADABLE',
    message: expect.stringMatching(/the path is not UTF-8$/),
  });
});

test.runIf(process.getuid?.() === 0)('of a process in a mount namespace of its own, too', async () => {
  await using copy = await startCopy('program', ['unshare', '--mount']);
  expect(await readExecutablePath(copy.process)).toBe(copy.path);
  expect(await new ExecutableHashes().hash(copy.process, 0, signal)).toBe(await sha256Of('/bin/sleep'));
});

test.runIf(process.getuid?.() === 0)('of a setuid program that only its owner may read, too', async () => {
  await using folder = await createTemporaryFolder();
  await chmod(folder.path, 0o711);
  const path = folder.join('setuid');
  await copyFile('/bin/sleep', path);
  await chmod(path, 0o4711);
  await using child = await TestProcess.start('setpriv', ['--reuid=54303', '--clear-groups', path, '60']);
  using opened = ProcessFolder.open(child.pid);
  await expect.poll(() => opened.readLink('exe')).toBe(path);
  expect(opened.read('status')).toMatch(/^Uid:\t54303\t0\t/m);
  expect(await new ExecutableHashes().hash(opened, 0, signal)).toBe(await sha256Of('/bin/sleep'));
});

test('an executable larger than the limit is refused', async () => {
  using opened = ProcessFolder.open(process.pid);
  await expect(new ExecutableHashes().hash(opened, 1_000, signal)).rejects.toMatchObject({
    code: 'TOO_LARGE',
    message: expect.stringContaining('workload_size_limit is 1000'),
  });
});

const later = () => Date.now() + 60_000;

test('a file is read once, however many ask', async () => {
  await using copy = await startCopy();
  const hashes = new ExecutableHashes(later);
  const expected = await sha256Of('/bin/sleep');
  const all = await Promise.all(Array.from({ length: 20 }, () => hashes.hash(copy.process, 0, signal)));
  expect(new Set(all)).toEqual(new Set([expected]));
  expect(await hashes.hash(copy.process, 0, signal)).toBe(expected);
  expect(hashes.reads).toBe(1);
});

test('one that has just changed is read again the next time: it may change once more within a tick', async () => {
  await using copy = await startCopy();
  const hashes = new ExecutableHashes();
  for (const reads of [1, 2]) {
    await hashes.hash(copy.process, 0, signal);
    expect(hashes.reads).toBe(reads);
  }
});

test('so is one whose time of change is another, though its time of writing was put back', async () => {
  await using copy = await startCopy();
  const hashes = new ExecutableHashes(later);
  await utimes(copy.path, 1_000_000, 1_000_000);
  await hashes.hash(copy.process, 0, signal);
  await utimes(copy.path, 1_000_000, 1_000_000);
  await hashes.hash(copy.process, 0, signal);
  expect(hashes.reads).toBe(2);
});

test('a file without end is read for nobody but who waits for it', async () => {
  const TERABYTE = 2 ** 40; // of nothing, which takes no space
  await using copy = await startCopy('program', [], TERABYTE);
  const hashes = new ExecutableHashes();
  const [first, second, late] = [new AbortController(), new AbortController(), new AbortController()];
  const waiting = [first, second].map((each) => hashes.hash(copy.process, 0, each.signal));
  const settled = Promise.allSettled(waiting);
  await expect.poll(() => hashes.reads).toBe(1);
  first.abort();
  expect(await Promise.race([settled, new Promise((resolve) => setTimeout(resolve, 100, 'read on'))])).toBe('read on');
  second.abort();
  expect(await settled).toEqual([1, 2].map(() => expect.objectContaining({ status: 'rejected' })));
  late.abort();
  await expect(hashes.hash(copy.process, 0, late.signal)).rejects.toMatchObject({ code: 'CANCELLED' });
  expect(hashes.reads).toBe(1);
});
