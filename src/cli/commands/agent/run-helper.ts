import { SpiffeError } from '../../../spiffe/error.ts';
import { defineCommand } from '../../command.ts';
import { optionalToggle, text } from '../../flag-kinds.ts';
import { runProgram } from '../../run-program.ts';

/** Source: spiffe-helper's command line, its default file, too. */
export const agentHelper = defineCommand({
  summary: 'Keep certificates, keys, bundles and tokens in files for programs that only know files',
  flags: {
    config: text("Path of the configuration file, spiffe-helper's or its like", 'PATH', 'helper.conf'),
    'daemon-mode': optionalToggle('Go on and renew; false: write once and end; absent: as the file says'),
  },
  run: async ({ config: path, 'daemon-mode': isDaemon }, { env }) => {
    if (path === '') throw new SpiffeError('ARGUMENT_INVALID', '-config is empty: name the configuration file');
    const { readHelperConfig } = await import('../../../config/helper-config.ts');
    const config = readHelperConfig({ path, env, isDaemon });
    const { startHelper } = await import('../../../helper/index.ts');
    await runProgram({
      config,
      keepsUmask: true, // the command below has the umask that its user gave it; files are given their modes one by one
      start: (log, signal) => startHelper(config, { log, signal }),
    });
  },
});
