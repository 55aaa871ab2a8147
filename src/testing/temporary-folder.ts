import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A folder of its own with a short path, removed with everything in it on disposal. */
export interface TemporaryFolder extends AsyncDisposable {
  readonly path: string;
  join(name: string): string;
}

export async function createTemporaryFolder(): Promise<TemporaryFolder> {
  const path = await mkdtemp(join(tmpdir(), 'assayer-'));
  return {
    path,
    join: (name) => join(path, name),
    [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }),
  };
}
