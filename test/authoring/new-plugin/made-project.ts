import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { inspectPlugin } from '../../../src/authoring/inspect/index.ts';
import {
  type Half,
  halvesOf,
  type KindName,
  type Language,
  newPlugin,
} from '../../../src/authoring/new-plugin/index.ts';
import { parseTrustDomain } from '../../../src/spiffe/trust-domain.ts';

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

/** What `plugin inspect` finds out about each half. */
export async function inspectHalves({ halves, program }: MadeProject) {
  return await Promise.all(
    halves.map(async (half) => {
      const command = program(half);
      return await inspectPlugin({ command, args: [], trustDomain: parseTrustDomain('example.org'), side: half.side });
    }),
  );
}
