import { LoggerDefinition } from '../../../gen/spire/api/agent/logger/v1/logger.ts';
import { agentAdminCommand } from '../../admin-channel.ts';
import { showLogger } from '../../logger-level.ts';

export const agentLoggerReset = agentAdminCommand({
  summary: 'Put the level of the log back to the one that the agent started with',
  flags: {},
  run: async (_values, context) => showLogger(await context.client(LoggerDefinition).resetLogLevel({}), context),
});
