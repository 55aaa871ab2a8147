import type { AgentConfig } from '../config/agent-config.ts';
import { text, toggle, wholeNumber } from './flag-kinds.ts';
import type { FlagValues } from './flags.ts';

const DEFAULT_PATH = 'conf/agent/agent.conf';

/** The flags of `agent run` and `agent validate`. Source: inventory A001. */
export const agentConfigFlags = {
  config: text('Path of the configuration file', 'PATH', DEFAULT_PATH),
  expandEnv: toggle('Replace $NAME and the like in the configuration file by environment variables'),
  allowUnauthenticatedVerifiers: toggle('Let callers without an identity have the X.509 bundles'),
  dataDir: text('Folder for what the agent keeps', 'PATH'),
  disableSDSAPI: toggle("Do not serve Envoy's SDS API"),
  disableWorkloadAPI: toggle('Do not serve the Workload API'),
  insecureBootstrap: toggle('Trust whoever answers the first connection'),
  joinToken: text('Join token that the server made', 'TOKEN'),
  joinTokenFile: text('File that holds the join token', 'PATH'),
  logFile: text('File to write the log to', 'PATH'),
  logFormat: text('Format of the log', 'text|json'),
  logLevel: text('Least severe level that is logged', 'debug|info|warn|error'),
  logSourceLocation: toggle('Log where in the program a line comes from'),
  rebootstrapDelay: text('How long the server must be unknown before the agent bootstraps again', 'DURATION'),
  rebootstrapMode: text('Whether the agent bootstraps again', 'never|auto|always'),
  serverAddress: text('Address of the server', 'ADDRESS'),
  serverPort: wholeNumber('Port of the server', 'PORT'),
  socketPath: text("Path of the Workload API's socket", 'PATH'),
  trustBundle: text("File with the server's bundle", 'PATH'),
  trustBundleFormat: text("Format of the server's bundle", 'pem|spiffe'),
  trustBundleUrl: text("URL of the server's bundle", 'URL'),
  trustDomain: text('Name of the trust domain', 'NAME'),
};

/** @throws SpiffeError `FILE_UNUSABLE`; `CONFIG_INVALID` with every mistake, one a line */
export async function readAgentConfigByFlags(
  values: FlagValues<typeof agentConfigFlags>,
  env: Readonly<Record<string, string | undefined>>,
): Promise<AgentConfig> {
  const { config: path, expandEnv, serverPort, disableSDSAPI, disableWorkloadAPI, ...overrides } = values;
  const { readAgentConfig } = await import('../config/agent-config.ts');
  return readAgentConfig({
    path: path || DEFAULT_PATH,
    expandEnv,
    env,
    overrides: {
      ...overrides,
      disableSdsApi: disableSDSAPI,
      disableWorkloadApi: disableWorkloadAPI,
      serverPort: serverPort === 0 ? undefined : serverPort,
    },
  });
}
