import { z } from 'zod';
import { defineWorkloadAttestor, SpiffeError } from '../../plugin-sdk/index.ts';
import { ProcessFolder } from '../process/process-folder.ts';
import { Accounts } from './accounts.ts';
import { readExecutablePath } from './executable.ts';
import { ExecutableHashes } from './executable-hashes.ts';
import { type ProcessOwner, readProcessOwner, readProgramMark } from './process.ts';

/** Inventory P019. */
const unixConfig = z.strictObject({
  discover_workload_path: z.boolean().default(false),
  /** Bytes; 0 for no limit, negative for no hash. */
  workload_size_limit: z.int().default(0),
});

interface UnixState {
  readonly discoverPath: boolean;
  readonly sizeLimit: number;
  readonly users: Accounts;
  readonly groups: Accounts;
  readonly hashes: ExecutableHashes;
}

/** Tells whom a process runs for and which executable it is. */
export const unixWorkloadAttestor = defineWorkloadAttestor({
  name: 'unix',
  config: unixConfig,
  configure: ({ discover_workload_path, workload_size_limit }): UnixState => ({
    discoverPath: discover_workload_path,
    sizeLimit: workload_size_limit,
    users: new Accounts('/etc/passwd'),
    groups: new Accounts('/etc/group'),
    hashes: new ExecutableHashes(),
  }),
  async attest(pid, state, { signal }) {
    using process = ProcessFolder.open(pid);
    // One file, read once, tells of one program and user: only where there is more do two have to be told apart.
    if (!state.discoverPath) return describeOwner(readProcessOwner(process), state);
    const mark = readProgramMark(process);
    const values = [
      ...describeOwner(readProcessOwner(process), state),
      ...(await describeExecutable(process, state, signal)),
    ];
    if (readProgramMark(process) !== mark) {
      throw new SpiffeError(
        'WORKLOAD_UNREADABLE',
        `process ${pid} became another program or user while it was looked at`,
      );
    }
    return values;
  },
});

function describeOwner({ uid, gid, supplementaryGids }: ProcessOwner, state: UnixState): readonly string[] {
  const { names: users } = state.users;
  const { names: groups } = state.groups;
  const named = (kind: string, name: string | undefined) => (name === undefined ? [] : [`${kind}:${name}`]);
  return [
    `uid:${uid}`,
    ...named('user', users.get(uid)),
    `gid:${gid}`,
    ...named('group', groups.get(gid)),
    ...supplementaryGids.flatMap((id) => [`supplementary_gid:${id}`, ...named('supplementary_group', groups.get(id))]),
  ];
}

async function describeExecutable(
  process: ProcessFolder,
  { sizeLimit, hashes }: UnixState,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const path = `path:${await readExecutablePath(process)}`;
  return sizeLimit < 0 ? [path] : [path, `sha256:${await hashes.hash(process, sizeLimit, signal)}`];
}
