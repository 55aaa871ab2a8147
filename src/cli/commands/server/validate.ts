import { defineCommand } from '../../command.ts';
import { readServerConfigByFlags, serverConfigFlags } from '../../server-config-flags.ts';

export const serverValidate = defineCommand({
  summary: "Check the server's configuration file",
  flags: serverConfigFlags,
  run: async (values, terminal) => {
    const { warnings } = await readServerConfigByFlags(values, terminal.env);
    for (const warning of warnings) terminal.printError(`Warning: ${warning}\n`);
    terminal.print('Server configuration file is valid.\n');
  },
});
