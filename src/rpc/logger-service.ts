import { LoggerDefinition as AgentLoggerDefinition } from '../gen/spire/api/agent/logger/v1/logger.ts';
import { LoggerDefinition as ServerLoggerDefinition } from '../gen/spire/api/server/logger/v1/logger.ts';
import { LogLevel as ApiLevel, type Logger as ApiLogger } from '../gen/spire/api/types/types.ts';
import { LOG_LEVELS, type Logger, type LogLevel } from '../log/logger.ts';
import { SpiffeError } from '../spiffe/error.ts';
import { type BoundService, bindService } from './service.ts';

const API_LEVELS: Readonly<Record<LogLevel, ApiLevel>> = {
  panic: ApiLevel.PANIC,
  fatal: ApiLevel.FATAL,
  error: ApiLevel.ERROR,
  warning: ApiLevel.WARN,
  info: ApiLevel.INFO,
  debug: ApiLevel.DEBUG,
  trace: ApiLevel.TRACE,
};
const LEVELS: ReadonlyMap<ApiLevel, LogLevel> = new Map(LOG_LEVELS.map((level) => [API_LEVELS[level], level]));

/** Inventory R047 to R049. */
export function serverLoggerService(log: Logger): BoundService {
  return bindService(ServerLoggerDefinition, handlers(log));
}

/** Inventory R083 to R085. */
export function agentLoggerService(log: Logger): BoundService {
  return bindService(AgentLoggerDefinition, handlers(log));
}

/** The level of the whole program, its plugins included. */
function handlers(log: Logger) {
  const change = (level: LogLevel) => {
    const fields = { before: log.level, after: level };
    const wasTold = log.isEnabled('info');
    if (wasTold) log.info('log level changes', fields);
    log.level = level;
    if (!wasTold) log.info('log level changes', fields);
    return state();
  };
  const state = (): ApiLogger => ({
    currentLevel: API_LEVELS[log.level],
    launchLevel: API_LEVELS[log.launchLevel],
  });
  return {
    getLogger: async () => state(),
    setLogLevel: async ({ newLevel }: { newLevel: ApiLevel }) => {
      const level = LEVELS.get(newLevel);
      if (level === undefined) {
        throw new SpiffeError(
          'ARGUMENT_INVALID',
          `new_level ${newLevel} is no log level: give one from PANIC to TRACE`,
        );
      }
      return change(level);
    },
    resetLogLevel: async () => change(log.launchLevel),
  };
}
