import { LoggerDefinition } from '../../../gen/spire/api/server/logger/v1/logger.ts';
import { adminCommand } from '../../admin-channel.ts';
import { levelFlag, readLevel, showLogger } from '../../logger-level.ts';

export const serverLoggerSet = adminCommand({
  summary: 'Change the level of the log until the server ends',
  flags: { level: levelFlag },
  run: async ({ level }, context) => {
    const newLevel = readLevel(level);
    showLogger(await context.client(LoggerDefinition).setLogLevel({ newLevel }), context);
  },
});
