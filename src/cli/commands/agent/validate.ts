import { agentConfigFlags, readAgentConfigByFlags } from '../../agent-config-flags.ts';
import { defineCommand } from '../../command.ts';

export const agentValidate = defineCommand({
  summary: "Check the agent's configuration file",
  flags: agentConfigFlags,
  run: async (values, terminal) => {
    const { warnings } = await readAgentConfigByFlags(values, terminal.env);
    for (const warning of warnings) terminal.printError(`Warning: ${warning}\n`);
    terminal.print('Agent configuration file is valid.\n');
  },
});
