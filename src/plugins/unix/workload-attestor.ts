import { z } from 'zod';
import { defineWorkloadAttestor, SpiffeError } from '../../plugin-sdk/index.ts';
import { ProcessFolder } from '../process/process-folder.ts';
import { Accounts } from './accounts.ts';
import { readExecutablePath } from './executable.ts';
import { ExecutableHashes } from './executable-hashes.ts';
import { readProcessOwner, readProgramMark } from './process.ts';

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
    const mark = readProgramMark(process);
    const values = await describe(process, state, signal);
    if (readProgramMark(process) !== mark) {
      throw new SpiffeError(
        'WORKLOAD_UNREADABLE',
        `process ${pid} became another program or user while it was looked at`,
      );
    }
    return values;
  },
});

async function describe(process: ProcessFolder, state: UnixState, signal: AbortSignal): Promise<readonly string[]> {
  const { discoverPath, sizeLimit, users, groups, hashes } = state;
  const { uid, gid, supplementaryGids } = readProcessOwner(process);
  const named = async (kind: string, name: Promise<string | undefined>) => {
    const found = await name;
    return found === undefined ? [] : [`${kind}:${found}`];
  };
  const supplementary = await Promise.all(
    supplementaryGids.map(async (id) => [
      `supplementary_gid:${id}`,
      ...(await named('supplementary_group', groups.findName(id))),
    ]),
  );
  return [
    `uid:${uid}`,
    ...(await named('user', users.findName(uid))),
    `gid:${gid}`,
    ...(await named('group', groups.findName(gid))),
    ...supplementary.flat(),
    ...(discoverPath ? [`path:${await readExecutablePath(process)}`] : []),
    ...(discoverPath && sizeLimit >= 0 ? [`sha256:${await hashes.hash(process, sizeLimit, signal)}`] : []),
  ];
}
