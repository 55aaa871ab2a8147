import { symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { KIND_NAMES } from '../../../src/authoring/new-plugin/index.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../../harness/temporary-folder.ts';
import { BEHAVIOURS } from './behaviours.ts';
import { asExpected, inspectProject, makeProject } from './made-project.ts';

const MODULES = join(import.meta.dirname, '..', '..', '..', 'node_modules');
const DEADLINE_MS = 300_000;

let folder: TemporaryFolder;
beforeAll(async () => {
  folder = await createTemporaryFolder();
});
afterAll(() => folder[Symbol.asyncDispose]());

describe('a new project in TypeScript', () => {
  test.each(KIND_NAMES)(
    '%s: its tests pass, its types hold, it builds, loads and does what it says',
    async (kind) => {
      const project = await makeProject(folder.path, kind, 'ts');
      expect(await project.run('npm', 'test')).toMatch(/\n. fail 0\n/);
      await symlink(join(MODULES, '@types'), join(project.folder, 'node_modules', '@types')); // as npm install brings it
      expect(await project.run(process.execPath, join(MODULES, 'typescript', 'bin', 'tsc'))).toBe('');
      expect(await project.run('npm', 'run', 'build')).toMatch(/\nplugin_checksum = "[0-9a-f]{64}"\n/);
      expect(await inspectProject(project, ['npm', 'run', 'inspect'])).toEqual(asExpected(project, 'works'));
      await using own = await createTemporaryFolder();
      await BEHAVIOURS[kind](project, own.path);
    },
    DEADLINE_MS,
  );
});
