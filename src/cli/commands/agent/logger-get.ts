import { LoggerDefinition } from '../../../gen/spire/api/agent/logger/v1/logger.ts';
import { agentAdminCommand } from '../../admin-channel.ts';
import { showLogger } from '../../logger-level.ts';

export const agentLoggerGet = agentAdminCommand({
  summary: 'Show the level of the log, and the one that the agent started with',
  flags: {},
  run: async (_values, context) => showLogger(await context.client(LoggerDefinition).getLogger({}), context),
});
