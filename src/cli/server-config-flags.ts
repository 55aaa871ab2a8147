import type { ServerConfig } from '../config/server-config.ts';
import { text, toggle, wholeNumber } from './flag-kinds.ts';
import type { FlagValues } from './flags.ts';

const DEFAULT_PATH = 'conf/server/server.conf';

/** The flags of `server run` and `server validate`. Source: inventory S001. */
export const serverConfigFlags = {
  config: text('Path of the configuration file', 'PATH', DEFAULT_PATH),
  expandEnv: toggle('Replace $NAME and the like in the configuration file by environment variables'),
  bindAddress: text('Address to serve agents on', 'ADDRESS'),
  serverPort: wholeNumber('Port to serve agents on', 'PORT'),
  dataDir: text('Folder for what the server keeps', 'PATH'),
  logFile: text('File to write the log to', 'PATH'),
  logFormat: text('Format of the log', 'text|json'),
  logLevel: text('Least severe level that is logged', 'debug|info|warn|error'),
  logSourceLocation: toggle('Log where in the program a line comes from'),
  socketPath: text('Path of the admin socket', 'PATH'),
  trustDomain: text('Name of the trust domain', 'NAME'),
};

/** @throws SpiffeError `FILE_UNUSABLE`; `CONFIG_INVALID` with every mistake, one a line */
export async function readServerConfigByFlags(
  { config: path, expandEnv, serverPort, ...overrides }: FlagValues<typeof serverConfigFlags>,
  env: Readonly<Record<string, string | undefined>>,
): Promise<ServerConfig> {
  const { readServerConfig } = await import('../config/server-config.ts');
  const bindPort = serverPort === 0 ? undefined : serverPort;
  return readServerConfig({ path: path || DEFAULT_PATH, expandEnv, env, overrides: { ...overrides, bindPort } });
}
