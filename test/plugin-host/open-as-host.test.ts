import { execFileSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { openAsHost } from '../../src/plugin-host/open-as-host.ts';
import { createTemporaryFolder } from '../harness/temporary-folder.ts';

// That IMA measures what is opened is tried where there is IMA: test/vm.
test('no argument of a command line makes it fail or wait: a file, a pipe, a folder, nothing at all', async () => {
  await using folder = await createTemporaryFolder();
  const [script, pipe] = [folder.join('script.js'), folder.join('pipe')];
  await writeFile(script, 'it is not run');
  execFileSync('mkfifo', [pipe]);
  const args = ['--flag', 'script.js', script, pipe, folder.path, folder.join('missing'), `${script}/below`];
  await expect(openAsHost(args)).resolves.toBeUndefined();
});
