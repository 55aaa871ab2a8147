import { chmod, readFile, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { builtPlugin } from '../harness/built-programs.ts';
import { eventually } from '../harness/eventually.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../harness/temporary-folder.ts';
import { isGone } from '../plugin-host/is-gone.ts';
import { ProgramProcess, runCli } from './run-cli.ts';

const MEMORY = [process.execPath, builtPlugin('agent', 'memory')];

let folder: TemporaryFolder;
beforeAll(async () => {
  folder = await createTemporaryFolder();
});
afterAll(() => folder[Symbol.asyncDispose]());

async function script(name: string, ...lines: readonly string[]): Promise<string> {
  const path = folder.join(name);
  await writeFile(path, ['#!/bin/sh', ...lines, ''].join('\n'));
  await chmod(path, 0o755);
  return path;
}

describe('plugin inspect', () => {
  test('prints what a plugin is', async () => {
    const { code, stdout, stderr } = await runCli(['plugin', 'inspect', ...MEMORY]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout.replace(/\d+ ms/g, 'N ms').replace(/\d+\.\d MB/, 'N MB')).toBe(
      [
        `Command           : ${MEMORY.join(' ')}`,
        'Kind              : KeyManager of the agent',
        'Services          : spire.plugin.agent.keymanager.v1.KeyManager, spire.service.common.config.v1.Config',
        'Protocol          : grpc over unix, go-plugin 1, plugin protocol 1',
        'Handshake after   : N ms',
        'Ready after       : N ms',
        'Memory            : N MB',
        'Configure         : not asked: -config FILE does',
        'Has health        : yes',
        'Has stdio         : yes',
        'Has validate      : yes',
        'Has deinit        : yes',
        'AutoMTLS          : works',
        'Can be loaded     : yes',
        '',
      ].join('\n'),
    );
  });

  test('prints it as JSON, its configuration taken', async () => {
    const args = [
      '-output',
      'json',
      '-config',
      '/dev/null',
      '-side',
      'agent',
      '-trustDomain',
      'example.com',
      ...MEMORY,
    ];
    const { code, stdout } = await runCli(['plugin', 'inspect', ...args]);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      loadable: true,
      configured: true,
      kinds: [{ side: 'agent', type: 'KeyManager' }],
      handshake: { core_version: 1, protocol_version: 1 },
      handshake_ms: expect.any(Number),
      memory_bytes: expect.any(Number),
      auto_mtls: { works: true },
      problems: [],
    });
  });

  test('suggests a sandbox that it has tried, after its author could use the plugin', async () => {
    const { code, stdout, stderr } = await runCli(['plugin', 'inspect', '-suggest', '-run', '50ms', ...MEMORY]);
    expect(code).toBe(0);
    expect(stderr).toMatch(/^The plugin is watched for 0\.05 s: gRPC on unix:\/\/\/\S+\n$/);
    const [, block, json, rest] =
      /configuration:\n\n([\s\S]+)\nThe same as a manifest, \S+\.manifest\.json:\n\n([\s\S]+?\n}\n)\n([\s\S]*)$/.exec(
        stdout,
      ) ?? [];
    expect(block).toMatch(/^sandbox \{\n {2}user = "own"\n[\s\S]*\n}\n$/);
    expect(JSON.parse(json ?? '')).toMatchObject({
      ...{ side: 'agent', kind: 'KeyManager' },
      sandbox: { user: 'own', network: 'none' },
    });
    expect(rest).toContain('Tried: the plugin becomes ready with it and answers\n');
  });

  test('suggests it as JSON', async () => {
    const { stdout } = await runCli(['plugin', 'inspect', '-suggest', '-output', 'json', ...MEMORY]);
    expect(JSON.parse(stdout).suggestion).toMatchObject({
      manifest: { sandbox: { user: 'own', network: 'none', processes: expect.any(Number) } },
      block: expect.stringMatching(/^sandbox \{/),
      notes: [],
      trial: { works: true, untried: expect.any(Array) },
    });
  });

  test('exits with 1 where it cannot be loaded, and says why', async () => {
    const command = await script('noisy', 'echo hello', 'sleep 60');
    const { code, stdout, stderr } = await runCli(['plugin', 'inspect', command, '-output', 'json']);
    expect({ code, stderr }).toEqual({ code: 1, stderr: 'Error: the plugin cannot be loaded: 1 problem\n' });
    expect(stdout).toBe(
      [
        `Command           : ${command} -output json`,
        'Problem           : handshake: first line on stdout is not a handshake of 4 to 7 fields between "|": "hello"; it wrote nothing to stderr; the first line on stdout has to be the handshake, 1|1|unix|<path of its socket>|grpc| and nothing before it: print to stderr',
        'Can be loaded     : no',
        '',
      ].join('\n'),
    );
  });

  test.each([
    ['no command', [], "give the path of the plugin's executable behind the flags"],
    ['time to run and nothing to watch', ['-run', '1s', 'x'], '-run goes with -suggest'],
    ['a side that is none', ['-side', 'left', 'x'], '-side: "left" is neither server nor agent'],
    ['a trust domain that is none', ['-trustDomain', 'A b', 'x'], 'trust domain'],
  ])('refuses %s', async (_what, args, message) => {
    const { code, stdout, stderr } = await runCli(['plugin', 'inspect', ...args]);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(/^Error: .*\n$/);
    expect(stderr).toContain(message);
  });

  test('takes the plugin along where it is interrupted', async () => {
    const pidFile = folder.join('pid');
    const command = await script('slow', `echo $$ > ${pidFile}.new`, `mv ${pidFile}.new ${pidFile}`, 'sleep 60');
    await using program = new ProgramProcess(['plugin', 'inspect', command]);
    const pid = await eventually(async () => Number(await readFile(pidFile, 'utf8')));
    program.signal('SIGINT');
    expect(await program.ended()).toBe(130);
    await eventually(() => expect(isGone(pid)).toBe(true));
  });
});
