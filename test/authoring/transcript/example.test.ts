import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { runCli } from '../../cli/run-cli.ts';
import { OutsideProject } from '../../testing/outside-project.ts';
import { DIGEST_AGENT } from './digest-halves.ts';

const DOC = join(import.meta.dirname, '..', '..', '..', 'docs', 'plugins', 'record.md');

test('the example of docs/plugins/record.md is recorded, replayed, and refuses an attack', async () => {
  const [, code = ''] = /^```ts\n([\s\S]*?)^```$/m.exec(await readFile(DOC, 'utf8')) ?? [];
  await using project = await OutsideProject.create();
  await project.write('server.ts', code);
  await project.checkTypes();
  const [node, transcript] = [process.execPath, project.path('transcript.json')];
  const halves = ['-agent', node, '-agentArg', DIGEST_AGENT, '-server', node, '-serverArg', project.path('server.ts')];
  const recorded = await runCli(['plugin', 'record', ...halves, '-out', transcript]);
  expect(recorded).toMatchObject({ code: 0, stdout: expect.stringContaining('Randomness        : 1 draw, 2 times') });
  for (const expected of ['same', 'refused']) {
    const args = ['-expect', expected, transcript, node, project.path('server.ts')];
    expect(await runCli(['plugin', 'replay', ...args])).toMatchObject({ code: 0, stderr: '' });
  }
});
