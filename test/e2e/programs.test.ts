import { readdir, writeFile } from 'node:fs/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { isGone } from '../plugin-host/is-gone.ts';
import { Deployment } from './deployment.ts';
import { nothingLeftIn } from './nothing-left.ts';
import { type Program, runAssayer } from './program.ts';

const WAIT = { timeout: 20_000, interval: 50 };
const PROGRAMS = ['server', 'agent'] as const;

let deployment: Deployment;
beforeAll(async () => {
  deployment = await Deployment.create();
  const server = await deployment.startServer();
  await server.stop();
});
afterAll(() => deployment[Symbol.asyncDispose]());

/** No process, no socket, nothing in the folder for temporary files but the lock of the TPM. */
async function expectNothingOf(program: Program, name: 'server' | 'agent'): Promise<void> {
  await expect.poll(() => program.pluginPids.filter((pid) => !isGone(pid)), WAIT).toEqual([]);
  const temporary = await readdir(deployment.temporaryFolder(name));
  expect(temporary.filter((file) => !/^assayer-tpm-.*\.lock$/.test(file))).toEqual([]);
  const folder = name === 'server' ? deployment.folder.path : deployment.folder.join('public');
  const files = await readdir(folder).catch(() => []);
  expect(files.filter((file) => file.endsWith('.sock'))).toEqual([]);
}

describe.each(PROGRAMS)('the %s', (name) => {
  let server: Program | undefined;
  beforeAll(async () => {
    if (name === 'agent') server = await deployment.startServer();
  });
  afterAll(async () => {
    await server?.stop();
  });
  const start = () => (name === 'server' ? deployment.startServer() : deployment.startAgent());

  test('is healthy while it runs, ends at SIGTERM with 0, and leaves nothing', async () => {
    const program = await start();
    const socket = name === 'server' ? deployment.adminSocket : deployment.workloadSocket;
    expect(program.pluginPids.length).toBeGreaterThan(1);
    expect((await runAssayer(name, 'healthcheck', '-socketPath', socket)).code).toBe(0);
    expect(await program.stop()).toEqual({ code: 0, signal: null });
    expect((await runAssayer(name, 'healthcheck', '-socketPath', socket)).code).toBe(1);
    await expectNothingOf(program, name);
  });

  test('ends at SIGINT with 0, and leaves nothing', async () => {
    const program = await start();
    program.signal('SIGINT');
    expect(await program.exited).toEqual({ code: 0, signal: null });
    await expectNothingOf(program, name);
  });

  test('ends at SIGTERM while it starts, and leaves nothing', async () => {
    const program = await deployment.launch(name);
    await program.waitFor('plugin loaded');
    program.signal('SIGTERM');
    expect(await program.exited).toEqual({ code: 0, signal: null });
    await expectNothingOf(program, name);
  });

  test('says in one line what is wrong with its configuration, and ends with 1', async () => {
    const path = deployment.folder.join('wrong.conf');
    await writeFile(path, `${name} { trust_domain = "example.org" gurke = 1 }`);
    for (const command of ['run', 'validate']) {
      const { code, stderr } = await runAssayer(name, command, '-config', path);
      expect([code, stderr]).toEqual([1, expect.stringMatching(/gurke/)]);
      expect(stderr).not.toMatch(/^ {4}at /m);
    }
    const good = deployment.folder.join(`${name}.conf`);
    expect((await runAssayer(name, 'validate', '-config', good)).code).toBe(0);
  });

  test('cannot run twice: the second ends with 1 and one line, the first goes on', async () => {
    const first = await start();
    const second = await deployment.launch(name);
    expect(await second.exited).toEqual({ code: 1, signal: null });
    expect(second.lines.at(-1)).toMatch(/in use|socket/);
    expect(second.output).not.toMatch(/^ {4}at /m);
    expect(first.hasExited).toBe(false);
    const socket = name === 'server' ? deployment.adminSocket : deployment.workloadSocket;
    expect((await runAssayer(name, 'healthcheck', '-socketPath', socket)).code).toBe(0);
    await first.stop();
    await expectNothingOf(second, name);
  });
});

afterEach(() => nothingLeftIn(deployment.tpm));
