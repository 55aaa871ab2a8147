import type { TelemetryConfig } from '../config/telemetry-config.ts';
import type { TrustDomain } from '../spiffe/trust-domain.ts';
import type { Tracing, TracingOptions } from './tracing.ts';

export interface OpenTracingOptions extends Omit<TracingOptions, 'config' | 'trustDomain'> {
  readonly config: { readonly telemetry: TelemetryConfig; readonly trustDomain: TrustDomain };
}

/**
 * Loads what traces, where that is configured. It is a file of its own: whoever does not trace never reads it.
 *
 * @throws SpiffeError `CONFIG_INVALID` for a file of authorities that cannot be read
 */
export async function openTracing({ config, ...options }: OpenTracingOptions): Promise<Tracing | undefined> {
  const { traces } = config.telemetry;
  if (traces === undefined) return undefined;
  const { startTracing } = await loadOpenTelemetry();
  const tracing = startTracing({ ...options, config: traces, trustDomain: config.trustDomain });
  const { endpoint, samplingRatio } = traces;
  options.log.info('calls are traced', { endpoint, sampling_ratio: samplingRatio });
  return tracing;
}

/** A bundle has it beside it in a file of its own; a source tree has the source. */
async function loadOpenTelemetry(): Promise<typeof import('./open-telemetry.ts')> {
  const suffix = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  const { href } = new URL(`./open-telemetry.${suffix}`, import.meta.url);
  return await import(href);
}
