import { describe, expect, test } from 'vitest';
import { runCommandLine } from '../../src/cli/command-line.ts';
import { COMMANDS } from '../../src/cli/command-table.ts';

async function run(...args: readonly string[]) {
  let stdout = '';
  let stderr = '';
  const code = await runCommandLine(args, {
    env: {},
    print: (text) => {
      stdout += text;
    },
    printError: (text) => {
      stderr += text;
    },
    readInput: async () => '',
  });
  return { code, stdout, stderr };
}

const overviews = [
  ['help', ['help'], 0, 'stdout'],
  ['-h', ['-h'], 0, 'stdout'],
  ['--help', ['--help'], 0, 'stdout'],
  ['help server', ['help', 'server'], 0, 'stdout'],
  ['server -h', ['server', '-h'], 0, 'stdout'],
  ['server entry -h', ['server', 'entry', '-h'], 0, 'stdout'],
  ['nothing', [], 127, 'stderr'],
  ['server', ['server'], 1, 'stderr'],
  ['agent api', ['agent', 'api'], 1, 'stderr'],
] as const;

const unknown = [
  ['a first word', ['sever', 'run'], '"sever" is no command, did you mean "server"?'],
  ['a second word', ['server', 'entri', 'show'], '"server entri" is no command, did you mean "server entry"?'],
  ['a third word', ['server', 'entry', 'crate'], 'did you mean "server entry create"?'],
  ['a word that is near to none', ['server', 'entry', 'zzzzzzz'], 'known are server entry create, server entry update'],
  ['a word behind a command', ['server', 'run', 'now'], 'nothing follows "server run" but flags'],
  [
    'a word behind a command that others begin with',
    ['agent', 'api', 'fetch', 'jwtt'],
    'did you mean "agent api fetch jwt"?',
  ],
  ['a word after help', ['help', 'nothing'], '"nothing" is no command'],
] as const;

describe('the command line', () => {
  test.each(overviews)('lists commands for %s', async (_what, args, code, stream) => {
    const result = await run(...args);
    expect(result).toMatchObject({ code, [stream === 'stdout' ? 'stderr' : 'stdout']: '' });
    expect(result[stream]).toMatch(/^Usage: assayer .*<command> \[flags\]\n\nCommands:\n/);
  });

  test.each(unknown)('refuses %s in one line', async (_what, args, message) => {
    const { code, stdout, stderr } = await run(...args);
    expect({ code, stdout }).toEqual({ code: 127, stdout: '' });
    expect(stderr).toMatch(/^Error: .*\n$/);
    expect(stderr).toContain(message);
  });

  test.each(['-v', '-version', '--version'])('prints its version for %s', async (flag) => {
    expect(await run(flag)).toEqual({
      code: 0,
      stdout: expect.stringMatching(/^assayer \d+\.\d+\.\d+\n$/),
      stderr: '',
    });
  });

  test('tells the defaults of durations in their units', async () => {
    expect((await run('agent', 'api', 'fetch', '-h')).stdout).toMatch(/-timeout DURATION .*\(default 5s\)\n/);
    expect((await run('plugin', 'inspect', '-h')).stdout).toMatch(/-timeout DURATION .*\(default 1m\)\n/);
  });

  test('refuses an unknown flag in one line', async () => {
    const stderr = 'Error: flag -selecter is not known, did you mean -selector?\n';
    expect(await run('server', 'entry', 'show', '-selecter', 'a:b')).toEqual({ code: 1, stdout: '', stderr });
  });
});

describe.each([...COMMANDS.keys()])('assayer %s', (name) => {
  test.each([
    ['-h', [...name.split(' '), '-h']],
    ['help', ['help', ...name.split(' ')]],
  ])('tells its flags for %s', async (_how, args) => {
    const { code, stdout, stderr } = await run(...args);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(new RegExp(`^[A-Z].*\\.\\n\\nUsage: assayer ${name} \\[flags\\]( [A-Z[].*)?\\n\\nFlags`));
    if (!/^(?:plugin |tpm |agent helper$|oidc-discovery$)/.test(name)) expect(stdout).toContain('-socketPath PATH');
  });
});
