import { agentConfigFlags, readAgentConfigByFlags } from '../../agent-config-flags.ts';
import { builtinPlugins } from '../../builtin-plugins.ts';
import { defineCommand } from '../../command.ts';
import { runProgram } from '../../run-program.ts';
import { readVersion } from '../../version.ts';

export const agentRun = defineCommand({
  summary: 'Run the agent until SIGTERM or SIGINT',
  flags: agentConfigFlags,
  run: async (values, { env }) => {
    const config = await readAgentConfigByFlags(values, env);
    const { startAgent } = await import('../../../agent/index.ts');
    const ownVersion = await readVersion();
    const builtins = builtinPlugins('agent', ownVersion);
    const version = `assayer ${ownVersion}`;
    const readConfig = () => readAgentConfigByFlags(values, env);
    await runProgram({
      config,
      start: (log, signal) => startAgent(config, { builtins, readConfig, log, signal, version }),
    });
  },
});
