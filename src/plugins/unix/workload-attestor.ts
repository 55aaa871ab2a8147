import { z } from 'zod';
import { defineWorkloadAttestor } from '../../plugin-sdk/index.ts';
import { Accounts } from './accounts.ts';
import { hashExecutable, readExecutablePath, readProcessOwner } from './process.ts';

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
  }),
  async attest(pid, { discoverPath, sizeLimit, users, groups }) {
    const { uid, gid, supplementaryGids } = await readProcessOwner(pid);
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
      ...(discoverPath ? [`path:${await readExecutablePath(pid)}`] : []),
      ...(discoverPath && sizeLimit >= 0 ? [`sha256:${await hashExecutable(pid, sizeLimit)}`] : []),
    ];
  },
});
