import { builtinPlugins } from '../../builtin-plugins.ts';
import { defineCommand } from '../../command.ts';
import { runProgram } from '../../run-program.ts';
import { readServerConfigByFlags, serverConfigFlags } from '../../server-config-flags.ts';
import { readVersion } from '../../version.ts';

export const serverRun = defineCommand({
  summary: 'Run the server until SIGTERM or SIGINT',
  flags: serverConfigFlags,
  run: async (values, { env }) => {
    const config = await readServerConfigByFlags(values, env);
    const { startServer } = await import('../../../server/index.ts');
    const ownVersion = await readVersion();
    const builtins = builtinPlugins('server', ownVersion);
    const version = `assayer ${ownVersion}`;
    const readConfig = () => readServerConfigByFlags(values, env);
    await runProgram({
      config,
      start: (log, signal) => startServer(config, { builtins, readConfig, log, signal, version }),
    });
  },
});
