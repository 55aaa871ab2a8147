import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { beforeAll, describe, expect, test } from 'vitest';
import { COMMANDS } from '../../src/cli/command-table.ts';
import { freePort } from '../harness/free-port.ts';
import { buildGo } from '../harness/go.ts';
import { describeWithGo } from '../harness/requires.ts';
import { createTemporaryFolder } from '../harness/temporary-folder.ts';

// Does what docs/write-a-plugin.md says, command by command, as somebody does who reads it.

const root = join(import.meta.dirname, '..', '..');
const DEADLINE_MS = 300_000;
const page = await readFile(join(root, 'docs', 'write-a-plugin.md'), 'utf8');

/** The text under a heading, up to the next one. */
function section(heading: string): string {
  const [, found] = new RegExp(`^## ${heading}\\n([\\s\\S]*?)(?=^## |$(?![\\s\\S]))`, 'm').exec(page) ?? [];
  if (found === undefined) throw new Error(`the page has no section "${heading}"`);
  return found;
}

/** What stands in fences of a language. */
function fenced(language: string, of: string): readonly string[] {
  return [...of.matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\`$`, 'gm'))].map(([, block = '']) => block);
}

/** Runs commands one after the other in a shell, which ends at the first that fails. Whatever they started ends too. */
async function follow(folder: string, blocks: readonly string[]): Promise<string> {
  await mkdir(join(folder, 'bin'));
  await symlink(join(root, 'bin', 'assayer'), join(folder, 'bin', 'assayer'));
  await mkdir(join(folder, 'work'));
  const port = await freePort();
  const script = [
    'set -euo pipefail',
    "trap 'code=$?; kill $(jobs -p) 2>/dev/null || true; wait; [ $code = 0 ] || tail -n 20 *.log; exit $code' EXIT",
    ...blocks,
  ].join('\n');
  await writeFile(join(folder, 'commands.sh'), script.replaceAll('8081', String(port)));
  const shell = spawn('timeout', ['--foreground', '200', 'bash', join(folder, 'commands.sh')], {
    cwd: join(folder, 'work'),
    env: {
      ...process.env,
      PATH: `${join(folder, 'bin')}:${dirname(process.execPath)}:${process.env.PATH}`,
      NODE_OPTIONS: '',
      NODE_TEST_CONTEXT: undefined,
      FORCE_COLOR: '0',
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const [output, errors] = await Promise.all([text(shell.stdout), text(shell.stderr), once(shell, 'exit')]);
  if (shell.exitCode !== 0)
    throw new Error(`exit code ${shell.exitCode}\n${output.slice(-4000)}\n${errors.slice(-4000)}`);
  return output;
}

/** The rules of the wire, where this checkout can try them already. */
const conformance = (command: string) => (COMMANDS.has('plugin test') ? [`(cd tagger && ${command})`] : []);

function tryTrack(heading: string, conformanceCommand: string): void {
  test(
    'leads from nothing to an identity in Assayer, and the plugin runs in SPIRE’s host',
    async () => {
      await using folder = await createTemporaryFolder();
      const output = await follow(folder.path, [
        ...fenced('sh', section(heading)),
        ...conformance(conformanceCommand),
        ...fenced('sh', section('In Assayer')),
      ]);
      expect(output).toContain('Can be loaded     : yes\n');
      expect(output).toMatch(/^SPIFFE ID:\s+spiffe:\/\/example\.org\/web$/m);
      expect(output).toContain('tagger');
      await tryInGoHost(folder.join('work/tagger/dist/tagger'));
    },
    DEADLINE_MS,
  );
}

let host: string | undefined;

/** The plugin is SPIRE's too: a host made of go-plugin v1.8.0 and the SDK's clients stands for the agent. */
async function tryInGoHost(plugin: string): Promise<void> {
  if (host === undefined) return;
  const config = `programs { node = "${process.execPath}" }`;
  const job = {
    try: 'workload-attestor',
    autoMtls: false,
    plugin: { command: [plugin], config },
    pids: [process.pid, 1],
  };
  const child = execFile(host, { timeout: 60_000 });
  child.stdin?.end(JSON.stringify(job));
  const report = JSON.parse(child.stdout === null ? '' : await text(child.stdout));
  expect(report).toMatchObject({ seen: [`${process.pid} program:node`, expect.stringMatching(/^1/)], stopped: true });
}

describeWithGo('docs/write-a-plugin.md', () => {
  beforeAll(async () => {
    host = await buildGo(join(root, 'test', 'interop', 'go-host'), '.');
  }, 600_000);

  describe('in TypeScript', () => tryTrack('In TypeScript', 'npm run conformance'));
  describe('in Go', () => tryTrack('In Go', 'make conformance'));
});

test('what the page shows of the source is in it', async () => {
  const source = await readFile(join(root, 'templates/workload-attestor/ts/src/plugin.ts'), 'utf8');
  const shown = fenced('ts', page);
  expect(shown).toHaveLength(1);
  for (const block of shown) expect(source).toContain(block);
});

test('the block for SPIRE is the one that the agent of the page has, with other paths', () => {
  const [block = ''] = fenced('hcl', section('In SPIRE'));
  const keys = (of: string) => [...of.matchAll(/^ {2,}(\w+)(?: "\w+")?(?: =| \{)/gm)].map(([, key]) => key);
  const [agent = ''] = fenced('sh', section('In Assayer')).flatMap(
    (text) => /WorkloadAttestor[\s\S]*?\n {2}\}/.exec(text) ?? [],
  );
  expect(keys(block)).toEqual(keys(`  ${agent}`));
});
