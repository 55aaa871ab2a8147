import { SpiffeError } from '../../plugin-sdk/index.ts';
import type { EngineClientOptions } from './engine-client.ts';

/** Says what is to be done where nobody answered. */
export function explainSocketError(cause: unknown, options: EngineClientOptions): SpiffeError {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  return new SpiffeError('UNAVAILABLE', sentenceFor(code, options), { cause });
}

function sentenceFor(code: string, { name, socketPath, key }: EngineClientOptions): string {
  const start = name === 'Podman' ? '"systemctl enable --now podman.socket"' : 'Docker';
  switch (code) {
    case 'ENOENT':
    case 'ENOTDIR':
      return `${name} has no socket at ${socketPath}: start ${start}, or set ${key} to where it listens`;
    case 'ECONNREFUSED':
      return `nobody listens at ${socketPath}: start ${start}, or set ${key} to where ${name} listens`;
    case 'EACCES':
    case 'EPERM':
      return `the agent may not connect to ${name} at ${socketPath}: run the agent as root, or make its user a member of the group that the socket belongs to, and restart it`;
    case 'ENOTSOCK':
    case 'EPROTOTYPE':
      return `${socketPath} is no socket that ${name} could listen on: set ${key} to where it listens`;
    default:
      return code.startsWith('HPE_') || code === ''
        ? `what listens at ${socketPath} does not speak HTTP as ${name} does: set ${key} to where ${name} listens`
        : `the connection to ${name} at ${socketPath} failed with ${code}: see whether ${name} runs`;
  }
}
