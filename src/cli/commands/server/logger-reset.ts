import { LoggerDefinition } from '../../../gen/spire/api/server/logger/v1/logger.ts';
import { adminCommand } from '../../admin-channel.ts';
import { showLogger } from '../../logger-level.ts';

export const serverLoggerReset = adminCommand({
  summary: 'Put the level of the log back to the one that the server started with',
  flags: {},
  run: async (_values, context) => showLogger(await context.client(LoggerDefinition).resetLogLevel({}), context),
});
