import { Logger } from '../../../log/logger.ts';
import { SpiffeError } from '../../../spiffe/error.ts';
import { agentConfigFlags, readAgentConfigByFlags } from '../../agent-config-flags.ts';
import { builtinPlugins } from '../../builtin-plugins.ts';
import { defineCommand } from '../../command.ts';

export const agentValidate = defineCommand({
  summary: "Check the agent's configuration file, each plugin's own part by the plugin",
  flags: agentConfigFlags,
  run: async (values, terminal) => {
    const config = await readAgentConfigByFlags(values, terminal.env);
    for (const warning of config.warnings) terminal.printError(`Warning: ${warning}\n`);
    const { validateAgent } = await import('../../../agent/index.ts');
    const log = new Logger(() => {}); // what is wrong is in the answer
    const problems = await validateAgent(config, { builtins: builtinPlugins('agent'), log });
    if (problems.length > 0) throw new SpiffeError('CONFIG_INVALID', problems.join('\n'));
    terminal.print('Agent configuration file is valid.\n');
  },
});
