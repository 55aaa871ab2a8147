import { execFileSync } from 'node:child_process';
import { chmod, mkdir, readdir, readFile, readlink, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { KIND_NAMES, newPlugin } from '../../../src/authoring/new-plugin/index.ts';
import { publishProject } from '../../../src/authoring/new-plugin/publish-project.ts';
import { runCli } from '../../cli/run-cli.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../../harness/temporary-folder.ts';

const root = join(import.meta.dirname, '..', '..', '..');
const isRoot = process.getuid?.() === 0;

let folder: TemporaryFolder;
beforeEach(async () => {
  folder = await createTemporaryFolder();
});
afterEach(() => folder[Symbol.asyncDispose]());

const make = (...args: readonly string[]) => runCli(['plugin', 'new', ...args], { cwd: folder.path });
const left = () => readdir(folder.path);

describe('plugin new', () => {
  test('makes a folder, and says what comes next', async () => {
    const { code, stdout, stderr } = await make('--kind', 'workload-attestor', '--lang', 'ts', 'mine');
    expect({ code, stdout, stderr }).toEqual({
      code: 0,
      stdout: `${folder.join('mine')}\n\nNext: cd mine && npm run build && npm test\n`,
      stderr: '',
    });
    expect((await readdir(folder.join('mine'))).sort()).toEqual([
      ...['.gitignore', 'README.md', 'agent.conf', 'manifest.json', 'node_modules', 'package.json', 'plugin.hcl'],
      ...['src', 'test', 'tsconfig.json'],
    ]);
    expect(await left()).toEqual(['mine']);
    expect(await readlink(folder.join('mine/node_modules/assayer'))).toBe(root);
    expect(JSON.parse(await readFile(folder.join('mine/package.json'), 'utf8')).dependencies).toEqual({
      assayer: `file:${root}`,
    });
  });

  test.each(['ts', 'go'] as const)('leaves no name of a template unfilled (%s)', async (language) => {
    for (const kind of KIND_NAMES) {
      const made = await newPlugin({ kind, language, name: kind, parent: folder.path });
      for (const entry of await readdir(made, { recursive: true, withFileTypes: true })) {
        if (!entry.isFile()) continue;
        expect(await readFile(join(entry.parentPath, entry.name), 'utf8')).not.toMatch(/__[A-Z]+__/);
      }
    }
  });

  const wrong: readonly (readonly [string, readonly string[], RegExp])[] = [
    ['no name', ['-kind', 'notifier'], /give one name/],
    ['two names', ['-kind', 'notifier', 'a', 'b'], /give one name/],
    ['no kind', ['mine'], /-kind is missing: known are workload-attestor, /],
    ['a kind that there is not', ['-kind', 'gizmo', 'mine'], /no kind "gizmo": known are workload-attestor, /],
    ['a mistyped kind', ['-kind', 'workload-atestor', 'mine'], /did you mean workload-attestor\?/],
    ['a kind as hosts write it', ['-kind', 'WorkloadAttestor', 'mine'], /did you mean workload-attestor\?/],
    [
      'a half',
      ['-kind', 'server-node-attestor', 'mine'],
      /say node-attestor, which makes the half of the server and that/,
    ],
    ['a kind with its side', ['-kind', 'agent-svid-store', 'mine'], /say svid-store$/m],
    ['a language that there is not', ['-kind', 'notifier', '-lang', 'rust', 'mine'], /-lang: "rust" is none of ts, go/],
    ['a path', ['-kind', 'notifier', '../mine'], /"\.\.\/mine" cannot be the name of a plugin/],
    ['an absolute path', ['-kind', 'notifier', '/tmp/mine'], /cannot be the name/],
    ['this folder', ['-kind', 'notifier', '.'], /cannot be the name/],
    ['capital letters', ['-kind', 'notifier', 'Mine'], /cannot be the name/],
    ['a line feed', ['-kind', 'notifier', 'mine\nother'], /"mine\\nother" cannot be the name/],
    ['a name too long', ['-kind', 'notifier', 'a'.repeat(41)], /cannot be the name/],
    ['a folder of npm', ['-kind', 'notifier', 'node_modules'], /means something else to npm or Go/],
    ['an attestor of the hosts', ['-kind', 'node-attestor', 'join_token'], /that is no plugin/],
  ];
  test.each(wrong)('refuses %s, and makes nothing', async (_what, args, message) => {
    const { code, stdout, stderr } = await make(...args);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(message);
    expect(await left()).toEqual([]);
  });

  test.each([
    ['a folder', () => mkdir(folder.join('mine'))],
    ['a file', () => writeFile(folder.join('mine'), 'mine')],
    ['a link to nowhere', () => symlink('nowhere', folder.join('mine'))],
  ])('leaves %s of that name as it is', async (_what, prepare) => {
    await prepare();
    const { code, stderr } = await make('-kind', 'notifier', 'mine');
    expect(code).toBe(1);
    expect(stderr).toMatch(/^Error: ".*\/mine" exists already: nothing was written, take another name\n$/);
    expect(await left()).toEqual(['mine']);
  });

  test('makes no TypeScript where Node runs none', async () => {
    const parent = folder.join('node_modules/x');
    await mkdir(parent, { recursive: true });
    await expect(newPlugin({ kind: 'notifier', language: 'ts', name: 'mine', parent })).rejects.toThrow(
      /Node runs no TypeScript below "node_modules"/,
    );
  });
});

describe('a project that cannot be written', () => {
  const files = new Map([
    ['a', 'x'],
    ['b/c', 'y'.repeat(200_000)],
  ]);

  test('is not there at all where the disk is full', async ({ skip }) => {
    await mkdir(folder.join('small'));
    if (!canMount(folder.join('small'), 'size=64k')) skip('a file system of its own cannot be mounted here');
    try {
      await expect(publishProject(folder.join('small/mine'), files, new Map())).rejects.toThrow(
        /cannot make the folder ".*mine": no space is left on its file system/,
      );
      expect(await readdir(folder.join('small'))).toEqual([]);
    } finally {
      execFileSync('umount', [folder.join('small')]);
    }
  });

  test('is not there at all where nobody may write', async ({ skip }) => {
    const closed = folder.join('closed');
    await mkdir(closed);
    if (!isRoot) await chmod(closed, 0o555);
    else if (!canMount(closed, 'ro')) skip('a file system of its own cannot be mounted here');
    try {
      await expect(publishProject(join(closed, 'mine'), files, new Map())).rejects.toThrow(
        /^cannot make the folder ".*mine": (?:its file system is read-only|permission denied)$/,
      );
    } finally {
      if (isRoot) execFileSync('umount', [closed]);
    }
  });

  test.each([
    ['where files cannot be', '/proc/mine'],
    ['where there is no such folder', '/nowhere/at/all/mine'],
  ])('is not there at all %s', async (_what, path) => {
    await expect(publishProject(path, files, new Map())).rejects.toThrow(
      expect.objectContaining({ code: 'FILE_UNUSABLE', message: expect.stringMatching(/^cannot make the folder/) }),
    );
  });

  test('leaves nothing where one of its files cannot be', async () => {
    const clash = new Map([...files, ['a/b', 'a is a file']]);
    await expect(publishProject(folder.join('mine'), clash, new Map())).rejects.toThrow(/cannot make the folder/);
    expect(await left()).toEqual([]);
  });

  test('does not go over what came meanwhile', async () => {
    const results = await Promise.allSettled(
      Array.from({ length: 4 }, () => publishProject(folder.join('mine'), files, new Map())),
    );
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect(await left()).toEqual(['mine']);
    expect(await readFile(folder.join('mine/a'), 'utf8')).toBe('x');
    await rm(folder.join('mine'), { recursive: true });
  });
});

/** Mounts an empty file system, where this user may. */
function canMount(path: string, options: string): boolean {
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'none', path], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
