import { execFileSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { openAsHost } from '../../src/plugin-host/open-as-host.ts';
import { createTemporaryFolder } from '../harness/temporary-folder.ts';

// That IMA measures what is opened is tried where there is IMA: test/vm.
test('files of a command line are opened, whatever else is in it left alone', async () => {
  await using folder = await createTemporaryFolder();
  const [script, pipe] = [folder.join('script.js'), folder.join('pipe')];
  await writeFile(script, 'it is not run');
  execFileSync('mkfifo', [pipe]);
  const args = ['--flag', 'script.js', script, pipe, folder.path, folder.join('missing'), `${script}/below`];
  await expect(openAsHost(args)).resolves.toBeUndefined();
});
