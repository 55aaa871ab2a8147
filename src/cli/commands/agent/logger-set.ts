import { LoggerDefinition } from '../../../gen/spire/api/agent/logger/v1/logger.ts';
import { agentAdminCommand } from '../../admin-channel.ts';
import { levelFlag, readLevel, showLogger } from '../../logger-level.ts';

export const agentLoggerSet = agentAdminCommand({
  summary: 'Change the level of the log until the agent ends',
  flags: { level: levelFlag },
  run: async ({ level }, context) => {
    const newLevel = readLevel(level);
    showLogger(await context.client(LoggerDefinition).setLogLevel({ newLevel }), context);
  },
});
