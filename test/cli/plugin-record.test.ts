import { readFile, stat, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventually } from '../harness/eventually.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../harness/temporary-folder.ts';
import { isGone } from '../plugin-host/is-gone.ts';
import { ProgramProcess, runCli } from './run-cli.ts';

const NODE = process.execPath;
const AGENT = fileURLToPath(new URL('../authoring/transcript/digest-agent.ts', import.meta.url));
const SERVER = fileURLToPath(new URL('../authoring/transcript/digest-server.ts', import.meta.url));
const HALVES = ['-agent', NODE, '-agentArg', AGENT, '-server', NODE, '-serverArg', SERVER];

let folder: TemporaryFolder;
let transcript: string;
beforeAll(async () => {
  folder = await createTemporaryFolder();
  transcript = folder.join('transcript.json');
  await writeFile(folder.join('server.hcl'), 'selectors = ["secret words"]\n');
});
afterAll(() => folder[Symbol.asyncDispose]());

describe('plugin record', () => {
  test('writes a transcript and tells what is in it', async () => {
    const args = ['-serverConfig', folder.join('server.hcl'), '-trustDomain', 'example.com', '-out', transcript];
    const { code, stdout, stderr } = await runCli(['plugin', 'record', ...HALVES, ...args]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toBe(
      [
        `Transcript        : ${transcript}`,
        'Messages          : 3, 70 bytes',
        'Randomness        : 1 draw, 0 times',
        'Verdict           : admitted as spiffe://example.com/spire/agent/digest/node-1 with 1 selector',
        '',
      ].join('\n'),
    );
    expect((await stat(transcript)).mode & 0o777).toBe(0o600);
    expect(JSON.parse(await readFile(transcript, 'utf8'))).toMatchObject({
      version: 1,
      trust_domain: 'example.com',
      configuration: 'selectors = ["secret words"]\n',
    });
  });

  test.each([
    ['no agent half', ['-server', NODE, '-out', '/tmp/x'], '-agent is needed'],
    ['no server half', ['-agent', NODE, '-out', '/tmp/x'], '-server is needed'],
    ['no transcript', HALVES, '-out is needed'],
    ['a folder that is not there', [...HALVES, '-out', '/nowhere/x'], 'cannot write the transcript "/nowhere/x"'],
    ['an address that is none', [...HALVES, '-out', '/tmp/x', '-clientAddress', 'me'], '"me" is no IP address'],
    ['a word too many', [...HALVES, '-out', '/tmp/x', 'more'], '"more" is not expected here'],
  ])('refuses %s', async (_what, args, message) => {
    const { code, stdout, stderr } = await runCli(['plugin', 'record', ...args]);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain(`Error: `);
    expect(stderr).toContain(message);
  });

  test('writes nothing where a half fails', async () => {
    const out = folder.join('failed.json');
    await writeFile(folder.join('agent.hcl'), 'fail = true\n');
    const args = ['-agentConfig', folder.join('agent.hcl'), '-out', out];
    const { code, stderr } = await runCli(['plugin', 'record', ...HALVES, ...args]);
    expect({ code, stderr }).toEqual({ code: 1, stderr: 'Error: the agent half: internal error\n' });
    await expect(stat(out)).rejects.toThrow('ENOENT');
  });

  test('takes the halves along where it is interrupted', async () => {
    const pidFile = folder.join('pid');
    const slow = folder.join('slow');
    const lines = ['#!/bin/sh', `echo $$ > ${pidFile}.new`, `mv ${pidFile}.new ${pidFile}`, 'sleep 60', ''];
    await writeFile(slow, lines.join('\n'), { mode: 0o755 });
    await using program = new ProgramProcess([
      'plugin',
      'record',
      '-agent',
      NODE,
      '-server',
      slow,
      '-out',
      folder.join('none'),
    ]);
    const pid = await eventually(async () => Number(await readFile(pidFile, 'utf8')));
    program.signal('SIGINT');
    expect(await program.ended()).toBe(130);
    await eventually(() => expect(isGone(pid)).toBe(true));
  });
});

describe('plugin replay', () => {
  const replay = async (...args: readonly string[]) =>
    await runCli(['plugin', 'replay', ...args, transcript, NODE, SERVER]);

  test('exits with 0 where the verdict is the recorded one', async () => {
    const { code, stdout, stderr } = await replay();
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout.replace(/\d{4}-.*Z/, 'TIME')).toBe(
      [
        'Recorded at       : TIME',
        'Server half       : the recorded one',
        'Configuration     : the recorded one',
        'Randomness        : the recorded one',
        'Recorded          : admitted as spiffe://example.com/spire/agent/digest/node-1 with 1 selector',
        'Replayed          : admitted as spiffe://example.com/spire/agent/digest/node-1 with 1 selector',
        'As expected       : yes',
        '',
      ].join('\n'),
    );
  });

  test('is a replay attack with -expect refused, and exits with 0 where it is refused', async () => {
    const { code, stdout } = await replay('-expect', 'refused');
    expect(code).toBe(0);
    expect(stdout).toContain('Randomness        : fresh, as with a real host\n');
    expect(stdout).toContain('Replayed          : refused, PermissionDenied: the answer is wrong\n');
    expect(stdout).toContain('Diverged          : at message 2: another challenge than was recorded\n');
  });

  test('exits with 1 where the verdict is another, and shows how', async () => {
    const config = folder.join('changed.hcl');
    await writeFile(config, 'selectors = ["other\\u001b[2J"]\nsuffix = "x"\n');
    const { code, stdout, stderr } = await replay('-config', config);
    expect({ code, stderr }).toEqual({ code: 1, stderr: 'Error: the verdict is not the recorded one\n' });
    expect(stdout).toContain('Diverged          : at message 4: another verdict\n');
    expect(stdout.split('\n').filter((line) => line.startsWith('Difference'))).toEqual([
      'Difference        : - spiffe_id spiffe://example.com/spire/agent/digest/node-1',
      'Difference        : + spiffe_id spiffe://example.com/spire/agent/digest/node-1x',
      'Difference        : - selector secret words',
      'Difference        : + selector other\\u001b[2J',
    ]);
  });

  test('exits with 1 where an attack comes through, and says why', async () => {
    const config = folder.join('careless.hcl');
    await writeFile(config, 'careless = true\n');
    const { code, stdout, stderr } = await replay('-expect', 'refused', '-config', config);
    expect(code).toBe(1);
    expect(stdout).toContain('Warning           : the recorded answer was taken for another challenge');
    expect(stderr).toMatch(/^Error: a refusal was expected, the replay was admitted as spiffe:\/\/.*\n$/);
  });

  test('prints it as JSON', async () => {
    const { code, stdout } = await replay('-output', 'json', '-expect', 'refused', '-randomness', 'fresh');
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      as_expected: true,
      randomness: 'fresh',
      divergence: { message: 2 },
      recorded: {
        outcome: 'admitted',
        spiffe_id: 'spiffe://example.com/spire/agent/digest/node-1',
        can_reattest: true,
      },
      replayed: { outcome: 'refused', status: 'PermissionDenied', message: 'the answer is wrong' },
      differences: [{ field: 'outcome', recorded: 'admitted', replayed: 'refused' }],
    });
  });

  test.each([
    ['no transcript', [], 'give the transcript and the path'],
    ['no command', ['/tmp/x'], 'give the transcript and the path'],
    ['a transcript that is not there', ['/nowhere/x', NODE], 'cannot read the transcript "/nowhere/x"'],
    ['a transcript that is none', ['/dev/null', NODE], 'the transcript is no JSON'],
    ['an expectation that is none', ['-expect', 'luck', '/tmp/x', NODE], '"luck" is none of same, refused'],
  ])('refuses %s', async (_what, args, message) => {
    const { code, stdout, stderr } = await runCli(['plugin', 'replay', ...args]);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain(message);
  });

  test('refuses to expect a refusal of what was refused when recorded', async () => {
    const refused = folder.join('refused.json');
    const json = JSON.parse(await readFile(transcript, 'utf8'));
    const verdict = { outcome: 'refused', status: 'PermissionDenied', message: 'no' };
    await writeFile(refused, JSON.stringify({ ...json, verdict }));
    const { code, stderr } = await runCli(['plugin', 'replay', '-expect', 'refused', refused, NODE, SERVER]);
    expect(code).toBe(1);
    expect(stderr).toContain('the recorded attestation was refused already');
  });
});
