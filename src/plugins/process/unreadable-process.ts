import { SpiffeError } from '../../plugin-sdk/index.ts';

/** @param name below /proc/PID; empty for that folder itself. @param cause what the file system failed with */
export function unreadableProcess(pid: number, name: string, cause: unknown): SpiffeError {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown';
  const path = name === '' ? `/proc/${pid}` : `/proc/${pid}/${name}`;
  return new SpiffeError('WORKLOAD_UNREADABLE', `cannot read ${path}: ${explain(code)}`, { cause });
}

function explain(code: string): string {
  switch (code) {
    case 'ENOENT':
    case 'ESRCH':
      return 'the process is gone';
    case 'EACCES':
    case 'EPERM':
      return 'permission denied, the agent has to run as root or with CAP_SYS_PTRACE';
    case 'ERR_ENCODING_INVALID_ENCODED_DATA':
      return 'the path is not UTF-8';
    default:
      return code;
  }
}
