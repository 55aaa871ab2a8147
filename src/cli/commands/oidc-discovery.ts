import { defineCommand } from '../command.ts';
import { text, toggle } from '../flag-kinds.ts';
import { runProgram } from '../run-program.ts';

/** Source: the command line of SPIRE's OIDC discovery provider, its default file, too. */
export const oidcDiscovery = defineCommand({
  summary: 'Show relying parties of OpenID Connect how to verify JWT-SVIDs',
  flags: {
    config: text('Path of the configuration file', 'PATH', 'oidc-discovery-provider.conf'),
    expandEnv: toggle('Replace $NAME and the like in the configuration file by environment variables'),
  },
  run: async ({ config: path, expandEnv }, { env }) => {
    const { readOidcConfig } = await import('../../config/oidc-config.ts');
    const config = readOidcConfig({ path, ...(expandEnv ? { env } : {}) });
    const { startOidc } = await import('../../oidc/index.ts');
    await runProgram({ config, start: (log) => startOidc(config, { log }) });
  },
});
