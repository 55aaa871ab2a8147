import { createConnection } from 'node:net';
import { resolve } from 'node:path';
import { RemoteError } from '../rpc/status.ts';
import { SpiffeError } from '../spiffe/error.ts';
import { Status } from '../spiffe/status.ts';
import { text } from './flag-kinds.ts';

/** Where a program listens, and how its users name another place. */
export interface SocketNaming {
  /** `server` or `agent`, for messages. */
  readonly program: string;
  readonly initial: string;
  /** Variable that holds the path. */
  readonly variable: string;
  /** Variable that holds a path with `%i` for the instance. */
  readonly templateVariable: string;
  /** What else to do where nobody listens there. */
  readonly missing?: string;
}

export const SERVER_SOCKET: SocketNaming = {
  program: 'server',
  initial: '/tmp/spire-server/private/api.sock',
  variable: 'SPIRE_SERVER_PRIVATE_SOCKET',
  templateVariable: 'SPIRE_SERVER_PRIVATE_SOCKET_TEMPLATE',
};

export const AGENT_SOCKET: SocketNaming = {
  program: 'agent',
  initial: '/tmp/spire-agent/public/api.sock',
  variable: 'SPIRE_AGENT_PUBLIC_SOCKET',
  templateVariable: 'SPIRE_AGENT_PUBLIC_SOCKET_TEMPLATE',
};

/** There only where the agent's configuration has `admin_socket_path`. */
export const AGENT_ADMIN_SOCKET: SocketNaming = {
  program: 'agent',
  initial: '/tmp/spire-agent/private/admin.sock',
  variable: 'SPIRE_AGENT_PRIVATE_SOCKET',
  templateVariable: 'SPIRE_AGENT_PRIVATE_SOCKET_TEMPLATE',
  missing: 'give it an admin_socket_path',
};

export function socketFlags({ program, initial, templateVariable }: SocketNaming) {
  return {
    socketPath: text(`Path of the ${program}'s socket`, 'PATH', initial),
    instance: text(`Instance name, put for %i into ${templateVariable}`, 'NAME'),
  };
}

/**
 * The socket that is meant: `-socketPath`, else the instance's, else the variable's, else the default.
 *
 * @throws SpiffeError `ARGUMENT_INVALID` for an instance without a template
 */
export function resolveSocketPath(
  naming: SocketNaming,
  { socketPath, instance }: { readonly socketPath: string; readonly instance: string },
  env: Readonly<Record<string, string | undefined>>,
): string {
  const template = env[naming.templateVariable] ?? '';
  if (instance !== '' && template === '') {
    throw new SpiffeError('ARGUMENT_INVALID', `-instance needs the variable ${naming.templateVariable}: it is not set`);
  }
  if (instance !== '' && !template.includes('%i')) {
    throw new SpiffeError('ARGUMENT_INVALID', `the variable ${naming.templateVariable} has no %i for the instance`);
  }
  if (socketPath !== naming.initial) return resolve(socketPath);
  if (instance !== '') return resolve(template.replaceAll('%i', instance));
  return resolve(env[naming.variable] || naming.initial);
}

/** What a call failed with; where nobody answers at the socket, an error that says so. */
export async function explainCallError(
  error: unknown,
  path: string,
  { program, missing }: SocketNaming,
): Promise<unknown> {
  if (!(error instanceof RemoteError) || error.status !== Status.Unavailable) return error;
  const code = await findConnectError(path);
  if (code === undefined) return error;
  const reason = REASONS[code] ?? code;
  const toStart = ['start it', ...(missing === undefined ? [] : [missing]), 'or name its socket with -socketPath'].join(
    ', ',
  );
  const advice = code === 'EACCES' ? 'run this as a user who may' : toStart;
  const message = `cannot reach the ${program} at ${path}: ${reason}; ${advice}`;
  return new SpiffeError('SERVER_UNREACHABLE', message, { cause: error });
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such socket',
  ENOTDIR: 'there is no such socket',
  ECONNREFUSED: 'nobody listens on it',
  EACCES: 'this user may not open it',
  ENOTSOCK: 'it is no socket',
};

/** Undefined where somebody accepts. */
function findConnectError(path: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = createConnection(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(undefined);
    });
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
  });
}
