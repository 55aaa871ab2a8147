import type { GenerationOptions } from './plugin-generation.ts';
import { type PluginSpec, pluginLogFields } from './plugin-spec.ts';
import type { PluginTelemetry } from './plugin-telemetry.ts';

/** What all plugins of a host have in common. */
export interface HostOptions extends Omit<GenerationOptions, 'observe' | 'tracer'> {
  readonly telemetry?: PluginTelemetry | undefined;
}

/** The same for one plugin: its log fields, its metrics and traces, its own services for them after the others. */
export function generationOptions(spec: PluginSpec, { telemetry, ...options }: HostOptions): GenerationOptions {
  const log = options.log.child(pluginLogFields(spec));
  if (telemetry === undefined) return { ...options, log };
  const traces = telemetry.tracesOf(spec);
  const measured = [...options.hostServices, telemetry.hostService(spec, log)];
  return {
    ...options,
    log,
    hostServices: traces === undefined ? measured : [...measured, traces.service],
    observe: telemetry.observerOf(spec),
    tracer: traces,
  };
}
