import { spawnSync } from 'node:child_process';
import { realpathSync } from 'node:fs';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { TestProcess } from '../../harness/child-process.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../../harness/temporary-folder.ts';

const LAUNCHER = join(import.meta.dirname, '..', '..', '..', 'native', 'build', 'Release', 'sandbox');
const SYSTEM = ['/usr', '/bin', '/lib', '/lib64'];

let folder: TemporaryFolder;
beforeEach(async () => {
  folder = await createTemporaryFolder();
});
afterEach(() => folder[Symbol.asyncDispose]());

/** Runs `cat` where one more path is shown. @param source as the host found it to be, a moment ago */
function readThere(path: string, source: string): { readonly output: string; readonly report: string } {
  const system = SYSTEM.flatMap((place) => ['--read-only', place, realpathSync(place)]);
  const options = ['--report', '3', '--parent', String(process.pid), '--mounts', '--folder', '/', ...system];
  const namespace = process.getuid?.() === 0 ? [] : ['--user-namespace'];
  const args = [...options, ...namespace, '--read-only', path, source, '--', '/usr/bin/cat', join(path, 'file')];
  const { output } = spawnSync(LAUNCHER, args, { stdio: ['ignore', 'pipe', 'ignore', 'pipe'], encoding: 'utf8' });
  return { output: output[1] ?? '', report: output[3] ?? '' };
}

describe('a path that is shown', () => {
  test('is shown as it is', async () => {
    await mkdir(folder.join('place'));
    await writeFile(join(folder.join('place'), 'file'), 'mine');
    expect(readThere('/shown', folder.join('place')).output).toBe('mine');
  });

  /** Absolute links lead where the launcher is at that moment: the host's files are below `/.old` there. */
  test.each([
    ['it has become a link', [], ''],
    ['it has become a link out of the new root', [], '/.old'],
    ['a folder on its way has become a link out of the new root', ['below'], '/.old'],
  ])('is not shown where %s since the host looked', async (_what, below, root) => {
    await mkdir(join(folder.join('others'), ...below), { recursive: true });
    await writeFile(join(folder.join('others'), ...below, 'file'), 'theirs');
    await symlink(`${root}${folder.join('others')}`, folder.join('place'));
    const { output, report } = readThere('/shown', join(folder.join('place'), ...below));
    expect(output).toBe('');
    // No measure that a plugin could be started without.
    expect(report).toMatch(/^failed place \d+ .*place/m);
  });
});

test('what is replaced while it is shown is said to be that, and is no reason to do without mounts', async () => {
  const path = folder.join('replaced');
  await writeFile(path, 'mine');
  await using swapper = await TestProcess.node(
    '-e',
    `const fs = require('node:fs');
     const [path] = process.argv.slice(1);
     console.log('ready');
     for (;;) {
       fs.writeFileSync(path + '.new', 'mine');
       fs.renameSync(path + '.new', path);
     }`,
    path,
  );
  await swapper.readLine();
  for (let attempt = 0; attempt < 30; attempt++) {
    const { report } = readThere('/shown', path);
    expect(report).not.toMatch(/^failed (?!place)/m);
  }
});
