import type { Logger } from '../log/logger.ts';
import type { CallEnded, ObserveCalls } from '../rpc/call-observer.ts';
import type { BoundService } from '../rpc/service.ts';
import { callMeter } from '../telemetry/call-metrics.ts';
import { GuestMetrics } from '../telemetry/guest-metrics.ts';
import type { Label } from '../telemetry/label.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { Tracing } from '../tracing/tracing.ts';
import { metricsService } from './metrics-service.ts';
import type { PluginStatus } from './plugin-status.ts';
import { PluginTraces } from './plugin-traces.ts';
import { findMemoryBytes } from './process-memory.ts';

/** Type and name, as they are configured. */
interface PluginId {
  readonly type: string;
  readonly name: string;
}

/** What a host measures of its plugins, and they of themselves. Every series has the labels `plugin_type` and `plugin_name`. */
export class PluginTelemetry {
  readonly #metrics: Metrics;
  readonly #tracing: Tracing | undefined;
  readonly #traces = new Map<string, PluginTraces>();

  constructor(metrics: Metrics, tracing?: Tracing) {
    this.#metrics = metrics;
    this.#tracing = tracing;
  }

  /** The host service `Metrics` for one plugin, through all of its processes. */
  hostService(plugin: PluginId, log: Logger): BoundService {
    const labels = labelsOf(plugin);
    const dropped = this.#metrics.counter(['plugin', 'dropped_metrics'], labels);
    return metricsService(log, new GuestMetrics({ metrics: this.#metrics, labels, dropped, log }));
  }

  /** Of one plugin, through all of its processes; undefined where nothing is traced. */
  tracesOf(plugin: PluginId): PluginTraces | undefined {
    if (this.#tracing === undefined) return undefined;
    const key = `${plugin.type} ${plugin.name}`;
    const traces = this.#traces.get(key) ?? new PluginTraces(this.#tracing, plugin);
    this.#traces.set(key, traces);
    return traces;
  }

  /** `plugin.rpc` and `plugin.rpc.elapsed_time`, by method and status, of what the host calls. */
  observerOf(plugin: PluginId): ObserveCalls {
    const labels = labelsOf(plugin);
    const meters = new Map<string, CallEnded>();
    return (path) => {
      const known = meters.get(path);
      if (known !== undefined) return known;
      const method = { name: 'method', value: path.slice(path.lastIndexOf('/') + 1) };
      const meter = callMeter(this.#metrics, ['plugin', 'rpc'], [...labels, method]);
      meters.set(path, meter);
      return meter;
    };
  }

  /** How plugins are, asked at each scrape. */
  watch(plugins: () => readonly PluginStatus[]): void {
    this.#metrics.collect(async () => {
      await Promise.all(plugins().map(async (status) => await this.#note(status)));
    });
  }

  async #note(status: PluginStatus): Promise<void> {
    const { state, runs = false, pid, generation = 0, restarts = 0 } = status;
    if (state === 'internal') return;
    const labels = labelsOf(status);
    const gauge = (name: string) => this.#metrics.gauge(['plugin', name], labels);
    gauge('up').set(runs ? 1 : 0);
    gauge('unhealthy').set(state === 'unhealthy' ? 1 : 0);
    gauge('generation').set(generation);
    this.#metrics.counter(['plugin', 'restarts'], labels).advanceTo(restarts);
    // While the next process is awaited, the last one's number may be somebody else's already.
    const memory = runs && pid !== undefined ? await findMemoryBytes(pid) : undefined;
    gauge('memory_bytes').set(memory);
  }
}

function labelsOf({ type, name }: PluginId): readonly Label[] {
  return [
    { name: 'plugin_type', value: type },
    { name: 'plugin_name', value: name },
  ];
}
