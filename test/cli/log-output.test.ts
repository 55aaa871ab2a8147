import { execFileSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { build } from 'esbuild';
import { expect, test } from 'vitest';
import { openLog } from '../../src/cli/log-output.ts';
import { createTemporaryFolder } from '../harness/temporary-folder.ts';

const checkout = join(import.meta.dirname, '..', '..');

// Inventory C089: in each record, where the program called its logger.
test('the place in the sources is the caller’s', async () => {
  await using folder = await createTemporaryFolder();
  const file = folder.join('log');
  using output = openLog({ file, level: 'info', format: 'json', sourceLocation: true });
  function caller(): void {
    output.log.child({ a: 1 }).warning('something');
  }
  caller();
  const record = JSON.parse(await readFile(file, 'utf8'));
  expect(record).toMatchObject({ func: 'caller', a: 1 });
  expect(record.file).toMatch(/test\/cli\/log-output\.test\.ts:\d+:\d+$/);
});

test('in a bundle, which names classes anew, it is the caller’s, too', async () => {
  await using folder = await createTemporaryFolder();
  const [file, program] = [folder.join('log'), folder.join('program.mjs')];
  const contents = `
    import { openLog } from './src/cli/log-output.ts';
    const { log } = openLog({ file: ${JSON.stringify(file)}, level: 'info', format: 'json', sourceLocation: true });
    function caller() { log.info('something'); }
    caller();`;
  const stdin = { contents, resolveDir: checkout, loader: 'ts' } as const;
  await build({ stdin, bundle: true, platform: 'node', target: 'node24', format: 'esm', outfile: program });
  execFileSync(process.execPath, [program]);
  expect(JSON.parse(await readFile(file, 'utf8'))).toMatchObject({
    func: 'caller',
    file: expect.stringContaining(program),
  });
});
