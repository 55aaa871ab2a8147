import { Logger } from '../../../log/logger.ts';
import { SpiffeError } from '../../../spiffe/error.ts';
import { builtinPlugins } from '../../builtin-plugins.ts';
import { defineCommand } from '../../command.ts';
import { readServerConfigByFlags, serverConfigFlags } from '../../server-config-flags.ts';

export const serverValidate = defineCommand({
  summary: "Check the server's configuration file, each plugin's own part by the plugin",
  flags: serverConfigFlags,
  run: async (values, terminal) => {
    const config = await readServerConfigByFlags(values, terminal.env);
    for (const warning of config.warnings) terminal.printError(`Warning: ${warning}\n`);
    const { validateServer } = await import('../../../server/index.ts');
    const log = new Logger(() => {}); // what is wrong is in the answer
    const problems = await validateServer(config, { builtins: builtinPlugins('server'), log });
    if (problems.length > 0) throw new SpiffeError('CONFIG_INVALID', problems.join('\n'));
    terminal.print('Server configuration file is valid.\n');
  },
});
