import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import {
  type Half,
  halvesOf,
  type KindName,
  type Language,
  newPlugin,
} from '../../../src/authoring/new-plugin/index.ts';

const DEADLINE_MS = 300_000;

/** A project that `plugin new` made in a temporary folder. */
export interface MadeProject {
  readonly name: string;
  readonly folder: string;
  readonly halves: readonly Half[];
  /** The executable of a half. */
  program(half: Half): string;
  read(path: string): Promise<string>;
  /** Runs a command of its README in it. @returns all that it wrote */
  run(command: string, ...args: readonly string[]): Promise<string>;
}

export async function makeProject(parent: string, kind: KindName, language: Language): Promise<MadeProject> {
  const name = `${kind.replaceAll('-', '_')}_${language}`;
  const folder = await newPlugin({ kind, language, name, parent });
  const halves = halvesOf(kind, name);
  const path = `${join(folder, 'node_modules', '.bin')}:${join(process.execPath, '..')}:${process.env.PATH}`;
  return {
    name,
    folder,
    halves,
    program: (half) => join(folder, 'dist', half.program),
    read: async (file) => await readFile(join(folder, file), 'utf8'),
    run: async (command, ...args) => {
      const env = { ...process.env, PATH: path, NODE_OPTIONS: '', NODE_TEST_CONTEXT: undefined, FORCE_COLOR: '0' };
      const { stdout, stderr } = await promisify(execFile)(command, args, { cwd: folder, env, timeout: DEADLINE_MS });
      return stdout + stderr;
    },
  };
}

/**
 * Inspects what was built, with its configuration, by the command of its README.
 *
 * @returns what it says about each half, without paths and figures
 */
export async function inspectProject(
  { read, run }: MadeProject,
  command: readonly [string, ...string[]],
): Promise<readonly string[]> {
  const [, preparation] = /^```\n(openssl [\s\S]*?)^```$/m.exec(await read('README.md')) ?? [];
  if (preparation !== undefined) await run('sh', '-c', preparation);
  const lines = (await run(...command)).split('\n');
  return lines.filter((line) => /^(?:Kind|Configure|AutoMTLS|Can be loaded|Warning|Problem) +: /.test(line));
}

/** What is said of halves that are as they should be. */
export function asExpected({ halves }: MadeProject, autoMtls: string): readonly string[] {
  return halves.flatMap(({ side, type }) => [
    `Kind              : ${type} of the ${side}`,
    'Configure         : taken',
    `AutoMTLS          : ${autoMtls}`,
    'Can be loaded     : yes',
  ]);
}
