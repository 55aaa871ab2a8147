import type { TelemetryConfig } from '../config/telemetry-config.ts';

/** Keys of the configuration that name where metrics would go, and do not yet: inventory C148, C150 to C152. */
export function unsupportedSinks({ inMemory, dogStatsd, statsd, m3 }: TelemetryConfig): readonly string[] {
  const set: Readonly<Record<string, boolean>> = {
    'telemetry.InMem': inMemory,
    'telemetry.DogStatsd': dogStatsd.length > 0,
    'telemetry.Statsd': statsd.length > 0,
    'telemetry.M3': m3.length > 0,
  };
  return Object.keys(set).filter((key) => set[key]);
}
