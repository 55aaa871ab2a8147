import { execFileSync } from 'node:child_process';
import { chmod, mkdir, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { readObservation } from '../../../src/plugin-host/sandbox/sightings.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../../harness/temporary-folder.ts';
import { buildWatchedCalls, LAUNCHER, sentences, watch } from '../../harness/watched-program.ts';
import { isGone } from '../is-gone.ts';

const NOBODY = 65534;
const isRoot = process.getuid?.() === 0;

let folder: TemporaryFolder;
let program: string;
/** The program's folder, empty before each test but for a folder with one file. */
let cwd: string;
beforeAll(async () => {
  folder = await createTemporaryFolder();
  program = buildWatchedCalls(folder.join('calls'));
  cwd = folder.join('w');
  await chmod(folder.path, 0o755);
});
beforeEach(async () => {
  await rm(cwd, { recursive: true, force: true });
  await mkdir(join(cwd, 'folder'), { recursive: true });
  await writeFile(join(cwd, 'folder', 'file'), 'x');
});
afterAll(() => folder[Symbol.asyncDispose]());

async function see(...args: readonly string[]): Promise<readonly string[]> {
  const run = watch([program, ...args], { cwd });
  const observation = await run.observation;
  expect(await run.report).toMatch(/^pid \d+\n$/);
  return sentences(observation).filter((text) => text !== `path execute file ${program}`);
}

describe('the launcher that watches writes down', () => {
  const rows: readonly (readonly [string, readonly string[], readonly string[]])[] = [
    ['a file that is read', ['read', 'folder/file'], ['path read file W/folder/file']],
    ['a path with dots', ['read', './folder/../folder//file'], ['path read file W/folder/file']],
    ['what is not there to be read: nothing', ['read', 'folder/missing'], []],
    ['a folder that is listed', ['read', 'folder'], ['path read folder W/folder']],
    ['a file that is written', ['write', 'folder/file'], ['path write file W/folder/file']],
    ['a file that is made', ['create', 'new'], ['path create none W/new']],
    ['a file that may be made and is there', ['create', 'folder/file'], ['path write file W/folder/file']],
    ['a file that is removed', ['remove', 'folder/file'], ['path remove file W/folder/file']],
    [
      'a name that changes',
      ['rename', 'folder/file'],
      ['path remove file W/folder/file', 'path create none W/renamed'],
    ],
    ['a folder that is made', ['folder', 'made'], ['path create none W/made']],
    ['a link', ['link', 'link'], ['path create none W/link']],
    ['rights', ['chmod', 'folder/file'], ['path change file W/folder/file']],
    [
      'another current folder',
      ['chdir', 'folder', 'read', 'file'],
      ['path read folder W/folder', 'path read file W/folder/file'],
    ],
    ['dirfds of 50 threads', ['threads', 'file'], ['path read folder W/folder', 'path read file W/folder/file']],
    ['a device', ['read', '/dev/null'], ['device read /dev/null']],
    ['a Unix socket', ['unix', 'folder/s'], ['socket 1 1', 'path connect none W/folder/s']],
    ['an abstract Unix socket', ['abstract', 'name\n'], ['socket 1 1', 'abstract connect name\n']],
    ['a TCP connection', ['tcp', '9'], ['socket 2 1', 'address connect 127.0.0.1 9']],
    ['a family of sockets', ['family', '16'], ['socket 16 2']],
    [
      '/proc of others',
      ['read', '/proc/1/status', 'readlink', '/proc/1/exe'],
      ['processes /proc/*/status', 'processes /proc/*/exe'],
    ],
    ['/proc of itself: nothing', ['read', '/proc/self/status', 'readlink', '/proc/thread-self/exe'], []],
    ['a signal to another', ['signal', '1'], ['call kill']],
    ['a signal to itself: nothing', ['signal', '0'], []],
    ['a trace', ['trace', '1'], ['call ptrace']],
    ['another user', ['user', '7'], ['call setuid']],
    ['a mount', ['mount', ''], ['call mount']],
    ['a namespace, of a child', ['namespace', 'network'], ['call namespaces']],
    ['arguments that are nowhere', ['bad', ''], ['unseen openat']],
    ['a name with a line feed and escapes', ['create', 'a\nb c\x1b[31m%'], ['path create none W/a\nb c\x1b[31m%']],
  ];
  test.each(rows)('%s', async (_what, args, expected) => {
    expect(await see(...args)).toEqual(expected.map((text) => text.replace('W/', `${cwd}/`)));
  });

  test('a link’s name as the program has it', async () => {
    await symlink(join(cwd, 'folder'), join(cwd, 'way'));
    expect(await see('read', 'way/file')).toEqual([`path read file ${cwd}/way/file`]);
    expect(await see('read', 'way/../folder/file')).toEqual([`path read file ${cwd}/folder/file`]);
  });

  test('a child that reads', async () => {
    const run = watch(['/bin/sh', '-c', `${program} read folder/file; exit 3`], { cwd });
    expect(sentences(await run.observation)).toEqual(
      expect.arrayContaining([`path execute file ${program}`, `path read file ${cwd}/folder/file`]),
    );
    expect(await run.exit).toBe(3);
  });

  test('a socket that is there', async () => {
    const server = createServer().listen(join(cwd, 's'));
    await new Promise((resolve) => server.once('listening', resolve));
    expect(await see('unix', 's')).toContain(`path connect socket ${cwd}/s`);
    await new Promise((resolve) => server.close(resolve));
  });

  test('how many processes and threads there were, open files and memory', async () => {
    const { peaks } = await watch([program, 'threads', 'file'], { cwd }).observation;
    expect(peaks.processes).toBeGreaterThanOrEqual(1);
    expect(peaks.processes).toBeLessThanOrEqual(51);
    expect(peaks.files).toBeGreaterThanOrEqual(3);
    expect(peaks.memoryBytes).toBeGreaterThan(10_000);
  });

  test.skipIf(!isRoot)('what an ordinary user may not read, to an ordinary user', async () => {
    await writeFile(join(cwd, 'closed'), '', { mode: 0o600 });
    const run = watch([program, 'read', 'closed', 'read', 'folder/file'], { cwd, userId: NOBODY });
    expect(sentences(await run.observation)).toEqual([
      `path execute file ${program}`,
      `path read refused ${cwd}/closed`,
      `path read file ${cwd}/folder/file`,
    ]);
  });
});

describe('a program that is watched', () => {
  test.each([
    ['status', ['exit', '7'], 7],
    ['signal', ['die', '15'], 'SIGTERM'],
  ])('ends with its own %s', async (_what, args, expected) => {
    expect(await watch([program, ...args], { cwd }).exit).toBe(expected);
  });

  test('makes paths without end: the lines have one', async () => {
    await mkdir(join(cwd, 'many'));
    const run = watch([program, 'open-many', '30000', 'say', 'done'], { cwd });
    expect(await run.line).toBe('done');
    const { sightings, isComplete } = await run.observation;
    expect(isComplete).toBe(false);
    expect(sightings.length).toBeGreaterThan(1_000);
    expect(sightings.length).toBeLessThanOrEqual(8_192);
  }, 60_000);

  test('makes more names of a folder than are worth telling apart', async () => {
    const names = Array.from({ length: 100 }, (_, index) => ['create', `folder/${index}`]).flat();
    const seen = await see(...names);
    expect(seen).toContain(`many create ${cwd}/folder`);
    expect(seen.length).toBeLessThan(20);
  });

  test('forks without end: as many processes as a plugin may have', async () => {
    const run = watch([program, 'fork', ''], { cwd });
    expect(await run.line).toMatch(/^EAGAIN after (?:[1-3]?\d{1,3}|40\d\d)$/);
    expect(await run.exit).toBe(0);
    await expect.poll(() => pidsOf(program)).toEqual([]);
  }, 60_000);

  test('changes a path while somebody looks: it is an aid, and goes on', async () => {
    const run = watch([program, 'swap', '', 'say', 'done'], { cwd });
    expect(await run.line).toBe('done');
    expect(await run.exit).toBe(0);
  });

  test('leaves nobody behind when it ends, however far away', async () => {
    const run = watch([program, 'leave', '', 'exit', '0'], { cwd });
    expect(await run.exit).toBe(0);
    await run.observation;
    await expect.poll(() => pidsOf(program)).toEqual([]);
  });

  test('is gone with its launcher, and so is what it left', async () => {
    const run = watch([program, 'leave', '', 'say', 'there', 'stay', ''], { cwd });
    expect(await run.line).toBe('there');
    run.kill();
    expect(await run.exit).toBe('SIGKILL');
    // docs/server/crashes.md promises that plugins end within a second.
    await expect.poll(() => pidsOf(program), { timeout: 1_000, interval: 20 }).toEqual([]);
    expect(isGone(run.pid)).toBe(true);
  });

  test('goes on where nobody reads the lines, more of them than a pipe holds', async () => {
    await mkdir(join(cwd, 'many'));
    const run = watch([program, 'open-many', '10000', 'say', 'done', 'stay', ''], { cwd });
    expect(await run.line).toBe('done');
    const { observation } = run;
    run.kill();
    expect((await observation).sightings.length).toBeGreaterThan(1_000);
  }, 60_000);

  test('cannot be watched within what is watched, which is said', async () => {
    const inner = `${LAUNCHER} --report 3 --parent $PPID --observe --no-new-privileges -- ${program}`;
    const run = watch(['/bin/sh', '-c', `exec 3>&1 4>&1; exec setsid ${inner}`], { cwd });
    const lines = await run.output;
    expect(lines).toMatch(/^failed observation 16 /m);
  });
});

describe('lines that no launcher wrote', () => {
  test.each([
    ['nonsense', 'what is this\n'],
    ['another access', 'path eat file /a\n'],
    ['a path that is none', 'path read file a\n'],
    ['bytes that are no text', 'path read file /%ff\n'],
    ['a number that is none', 'peak files many\n'],
    ['no end', 'path read file /a'],
    ['the end of what is written down', 'cut\n'],
  ])('%s', async (_what, text) => {
    expect(await readObservation(Readable.from([Buffer.from(text)]))).toMatchObject({
      sightings: [],
      isComplete: false,
    });
  });
});

/** Processes that run a program. */
function pidsOf(path: string): readonly string[] {
  try {
    return execFileSync('pgrep', ['-f', `^${path} `], { encoding: 'utf8' })
      .trim()
      .split('\n')
      .filter((pid) => !isGone(Number(pid)));
  } catch {
    return [];
  }
}
