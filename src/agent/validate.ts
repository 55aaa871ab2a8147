import type { AgentConfig } from '../config/agent-config.ts';
import { PluginCatalog } from '../plugin-host/catalog.ts';
import { PluginTelemetry } from '../plugin-host/plugin-telemetry.ts';
import { programMetrics } from '../telemetry/program-metrics.ts';
import type { AgentOptions } from './agent.ts';

/**
 * Checks what reading the file could not: asks every plugin what it thinks of its configuration. Nothing is kept.
 *
 * @returns what is wrong, a sentence each. Inventory A002.
 */
export async function validateAgent(
  { plugins, trustDomain, telemetry }: AgentConfig,
  { log, builtins, version = 'assayer', signal }: Pick<AgentOptions, 'log' | 'builtins' | 'version' | 'signal'>,
): Promise<readonly string[]> {
  return await PluginCatalog.validate({
    side: 'agent',
    plugins,
    trustDomain,
    builtins,
    hostServices: [],
    telemetry: new PluginTelemetry(programMetrics({ config: telemetry, program: 'agent', trustDomain, version })),
    log,
    ...(signal === undefined ? {} : { signal }),
  });
}
