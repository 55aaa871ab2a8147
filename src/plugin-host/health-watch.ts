import type { Logger } from '../log/logger.ts';
import { messageOf } from '../spiffe/error.ts';
import type { PluginGeneration } from './plugin-generation.ts';

/** How often a plugin is asked, and how long it may take to answer. */
export interface HealthWatchTimes {
  readonly intervalMs: number;
  readonly deadlineMs: number;
}

/** Asks a plugin how it is, for as long as it runs, and kills one that does not answer: the supervisor starts another. */
export async function watchHealth(
  generation: PluginGeneration,
  { intervalMs, deadlineMs }: HealthWatchTimes,
  log: Logger,
): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const pause = () =>
    new Promise<void>((resolve) => {
      timer = setTimeout(resolve, intervalMs).unref();
    });
  const ended = generation.ended.then(() => 'ended' as const);
  while ((await Promise.race([pause(), ended])) !== 'ended') {
    try {
      await generation.requireHealthy(deadlineMs);
    } catch (error) {
      if (generation.exit !== undefined) break;
      const reason = messageOf(error);
      log.error('plugin does not answer its health check and is killed', { pid: generation.pid, reason });
      generation.kill();
    }
  }
  clearTimeout(timer);
}
