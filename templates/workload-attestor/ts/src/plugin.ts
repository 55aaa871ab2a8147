import { readlink } from 'node:fs/promises';
import { defineWorkloadAttestor, SpiffeError, z } from 'assayer/plugin-sdk';

const config = z.strictObject({
  programs: z.record(
    z.string().regex(/^[a-z0-9._-]+$/, { error: 'must be a name of small letters, digits, ".", "_" and "-"' }),
    z.string().regex(/^\//, { error: 'must be the absolute path of an executable' }),
  ),
});

/** The names of programs by the paths of their executables. */
export type Programs = ReadonlyMap<string, string>;

/** What the kernel knows of a process, so that nothing it says of itself counts. */
export async function selectorsOf(pid: number, programs: Programs): Promise<readonly string[]> {
  const name = programs.get(await executableOf(pid));
  return name === undefined ? [] : [`program:${name}`];
}

/** @throws SpiffeError where the process is gone, or not ours to look at */
async function executableOf(pid: number): Promise<string> {
  try {
    return await readlink(`/proc/${pid}/exe`);
  } catch (cause) {
    throw new SpiffeError('WORKLOAD_UNREADABLE', `the executable of process ${pid} cannot be read`, { cause });
  }
}

export const plugin = defineWorkloadAttestor({
  name: '__NAME__',
  config,
  configure: ({ programs }): Programs => new Map(Object.entries(programs).map(([name, path]) => [path, name])),
  attest: selectorsOf,
});
