import { mkdir, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { EntryDefinition } from '../../src/gen/spire/api/server/entry/v1/entry.ts';
import { TestServer } from '../harness/running-server.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../harness/temporary-folder.ts';
import { runCli } from './run-cli.ts';

const resources = new AsyncDisposableStack();
let folder: TemporaryFolder;
let server: TestServer;
let files: string;

beforeAll(async () => {
  folder = resources.use(await createTemporaryFolder());
  server = resources.use(await TestServer.start({ folder: folder.path }));
});
afterAll(() => resources.disposeAsync());
beforeEach(async () => {
  files = folder.join('entries');
  await rm(files, { recursive: true, force: true });
  await mkdir(join(files, 'team'), { recursive: true });
});

const TD = 'spiffe://example.org';
const yaml = (name: string, more = '') =>
  `- spiffe_id: ${TD}/${name}\n  parent_id: ${TD}/node\n  selectors: ["unix:uid:1000"]\n${more}`;
const apply = async (...args: readonly string[]) =>
  await runCli(['server', 'entry', 'apply', '-f', files, ...args, '-socketPath', server.running.socketPath]);
const countEntries = async () => (await server.admin(EntryDefinition).countEntries({ filter: undefined })).count;

describe('entry apply', () => {
  test('makes what the files of a folder say, and then has nothing to do', async () => {
    await writeFile(join(files, 'a.yaml'), yaml('web', '  dns_names: [web.test]\n'));
    const entry = { spiffe_id: `${TD}/db`, parent_id: `${TD}/node`, selectors: [{ type: 'unix', value: 'uid:70' }] };
    await writeFile(join(files, 'team', 'b.json'), JSON.stringify({ entries: [entry] }));
    await writeFile(join(files, '.hidden.yaml'), 'not: [read');
    await writeFile(join(files, 'notes.txt'), 'not read');
    await symlink(join(files, 'a.yaml'), join(files, 'team', '..link'));
    const first = await apply();
    expect(first.stderr).toBe('');
    expect(first.stdout).toMatch(
      new RegExp(
        `^\\+ ${TD}/web below ${TD}/node \\(.+\\)\n\\+ ${TD}/db below ${TD}/node \\(.+\\)\nSet "default": 2 created, 0 updated, 0 deleted, 0 unchanged\n$`,
      ),
    );
    expect(await apply()).toEqual({
      code: 0,
      stderr: '',
      stdout: 'Set "default": 0 created, 0 updated, 0 deleted, 2 unchanged\n',
    });
  });

  test('shows a difference and ends with 2, makes it, and deletes with -prune only what it made', async () => {
    await runCli([
      'server',
      'entry',
      'create',
      '-parentID',
      `${TD}/node`,
      '-spiffeID',
      `${TD}/by-hand`,
      '-selector',
      'unix:uid:1',
      '-socketPath',
      server.running.socketPath,
    ]);
    const before = await countEntries();
    await writeFile(join(files, 'a.yaml'), yaml('web', '  hint: x\n'));
    const dry = await apply('-prune', '-dryRun');
    expect({ code: dry.code, stderr: dry.stderr }).toEqual({ code: 2, stderr: '' });
    expect(dry.stdout).toContain(`~ ${TD}/web below ${TD}/node`);
    expect(dry.stdout).toContain('    dns_names: ["web.test"] > []\n    hint: "" > "x"\n');
    expect(dry.stdout).toContain(`- ${TD}/db below ${TD}/node`);
    expect(dry.stdout).toContain(
      'Set "default", nothing was changed: 0 to create, 1 to update, 1 to delete, 0 unchanged\n',
    );
    expect(await countEntries()).toBe(before);

    const kept = await apply();
    expect(kept.stdout).toContain('Of the set and not in the files: 1, which -prune deletes\n');
    const { code, stdout } = await apply('-prune', '-output', 'json');
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      changes: [{ kind: 'DELETE', before: { spiffe_id: { path: '/db' } } }],
      unchanged: 1,
      not_pruned: 0,
    });
    expect(await countEntries()).toBe(before - 1);
    expect((await apply('-prune', '-dryRun')).code).toBe(0);
  });

  test('names file, line and entry of every mistake, and changes nothing', async () => {
    const before = await countEntries();
    await writeFile(join(files, 'good.yaml'), yaml('good'));
    await writeFile(join(files, 'bad.yaml'), `# two\n${yaml('good-2')}${yaml('spire/x')}`);
    const { code, stderr, stdout } = await apply();
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toBe(
      `Error: nothing was changed:\nError: ${files}/bad.yaml:5: entry 2 (${TD}/spire/x): SPIFFE ID "${TD}/spire/x" is not a workload's: paths below "/spire" are reserved\n`,
    );
    expect(await countEntries()).toBe(before);
  });

  test('an entry that was made by hand is not taken', async () => {
    await writeFile(join(files, 'a.yaml'), `${yaml('by-hand').replace('uid:1000', 'uid:1')}`);
    const refused = await apply();
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain('was not made from files: delete it, or take it into the set with -adopt');
    const adopted = await apply('-adopt', '-set', 'by-hand');
    expect(adopted.stdout).toContain('Set "by-hand": 0 created, 0 updated, 1 adopted, 0 deleted, 0 unchanged\n');
  });

  test('many entries go in many messages, and standard input is a file', async () => {
    const hint = 'h'.repeat(1000);
    const input = JSON.stringify({
      entries: Array.from({ length: 6000 }, (_, n) => ({
        spiffe_id: `${TD}/many/${n}`,
        parent_id: `${TD}/node`,
        selectors: [{ type: 'unix', value: `uid:${n}` }],
        hint,
      })),
    });
    const args = ['server', 'entry', 'apply', '-f', '-', '-set', 'many', '-socketPath', server.running.socketPath];
    const { code, stdout, stderr } = await runCli(args, { input });
    expect({ code, stderr, end: stdout.split('\n').at(-2) }).toEqual({
      code: 0,
      stderr: '',
      end: 'Set "many": 6000 created, 0 updated, 0 deleted, 0 unchanged',
    });
  });

  test.each([
    ['no file', [], 'give a file or a folder with -f'],
    ['a file that is missing', ['-f', '/nonexistent'], '"/nonexistent" cannot be read'],
    ['a set without a name', ['-f', '-', '-set', ''], 'the name "" of the set is none'],
    ['-prune by nothing', ['-f', '-', '-prune'], '-prune would delete the whole set'],
  ])('refuses %s', async (_what, args, message) => {
    const { code, stderr } = await runCli([
      'server',
      'entry',
      'apply',
      ...args,
      '-socketPath',
      server.running.socketPath,
    ]);
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringContaining(message) });
  });
});
