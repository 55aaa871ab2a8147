import { afterAll, beforeAll } from 'vitest';
import { createTemporaryFolder, type TemporaryFolder } from '../../harness/temporary-folder.ts';

const VARIABLE = 'NODE_COMPILE_CACHE';

/** Plugins of a suite start from source, some hundreds of times: what Node makes of it is kept for the next start. */
export function keepCompiledCode(): void {
  let folder: TemporaryFolder;
  const before = process.env[VARIABLE];
  beforeAll(async () => {
    folder = await createTemporaryFolder();
    process.env[VARIABLE] = folder.path;
  });
  afterAll(async () => {
    if (before === undefined) delete process.env[VARIABLE];
    else process.env[VARIABLE] = before;
    await folder[Symbol.asyncDispose]();
  });
}
