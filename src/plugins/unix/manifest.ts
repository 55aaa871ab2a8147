import { readLoosely } from '../../config/read-setting.ts';
import type { SandboxManifest } from '../../config/sandbox-config.ts';

/**
 * The processes of everybody, and the names of users and groups: the whole of /etc, because the two files are replaced
 * when somebody is added. To hash executables that only their users may read it has to read any file.
 */
export function unixManifest(data: string): SandboxManifest {
  const { discover_workload_path: discovers, workload_size_limit: limit } = readLoosely(data);
  const hashes = discovers === true && !(typeof limit === 'number' && limit < 0);
  return {
    user: 'own',
    network: 'none',
    readable: ['/etc'],
    capabilities: ['SYS_PTRACE', ...(hashes ? ['DAC_READ_SEARCH'] : [])],
    allProcesses: true,
  };
}
