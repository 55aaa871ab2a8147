import { afterAll, beforeAll, expect, test } from 'vitest';
import { KIND_NAMES } from '../../../src/authoring/new-plugin/index.ts';
import { describeWithGo } from '../../harness/requires.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../../harness/temporary-folder.ts';
import { BEHAVIOURS } from './behaviours.ts';
import { asExpected, inspectProject, makeProject } from './made-project.ts';

const DEADLINE_MS = 600_000;

let folder: TemporaryFolder;
beforeAll(async () => {
  folder = await createTemporaryFolder();
});
afterAll(() => folder[Symbol.asyncDispose]());

describeWithGo('a new project in Go', () => {
  test.each(KIND_NAMES)(
    '%s: its tests pass, it builds, loads and does what it says',
    async (kind) => {
      const project = await makeProject(folder.path, kind, 'go');
      expect(await project.run('make', 'test', 'build')).toMatch(/^ok /m);
      expect(await inspectProject(project, ['make', 'inspect'])).toEqual(asExpected(project, 'works'));
      await using own = await createTemporaryFolder();
      await BEHAVIOURS[kind](project, own.path);
    },
    DEADLINE_MS,
  );
});
