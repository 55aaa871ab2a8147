import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { pathToFileURL } from 'node:url';
import { expect, test, vi } from 'vitest';

vi.setConfig({ testTimeout: 60_000 });

const RUN_PROGRAM = pathToFileURL('src/cli/run-program.ts').href;

/** Stopped in order, and with `left` behind then. */
async function stop(left: string) {
  const source = `
    const { runProgram } = await import('${RUN_PROGRAM}');
    const log = { level: 'info', format: 'text', sourceLocation: false };
    const start = async () => {
      const work = setInterval(() => {}, 1_000);
      setTimeout(() => process.kill(process.pid, 'SIGTERM'));
      return { [Symbol.asyncDispose]: async () => { clearInterval(work); ${left} } };
    };
    await runProgram({ config: { log, warnings: [] }, start });`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', source], { stdio: ['ignore', 'ignore', 'pipe'] });
  const ended = once(child, 'exit');
  const output = await text(child.stderr);
  const [code] = await ended;
  return { code, output };
}

test('what keeps the process after the program has stopped is ended with it; a program that ends is not kept', async () => {
  const [kept, failed, ended] = await Promise.all([
    stop('setInterval(() => {}, 1_000);'),
    stop('setInterval(() => {}, 1_000); process.exitCode = 3;'),
    stop(''),
  ]);
  for (const { output } of [kept, failed, ended]) expect(output).toContain('msg="stopped"');
  expect([kept.code, failed.code, ended.code]).toEqual([0, 3, 0]);
  for (const { output } of [kept, failed]) expect(output).toContain('is ended at once');
  expect(ended.output).not.toContain('is ended at once');
});
