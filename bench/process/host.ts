import { join } from 'node:path';
import { builtinPlugins } from '../../src/cli/builtin-plugins.ts';
import type { PluginConfig } from '../../src/config/plugins.ts';
import { formatText } from '../../src/log/format.ts';
import { Logger, type LogRecord } from '../../src/log/logger.ts';
import { PluginCatalog } from '../../src/plugin-host/catalog.ts';
import { PluginTelemetry } from '../../src/plugin-host/plugin-telemetry.ts';
import { parseTrustDomain } from '../../src/spiffe/trust-domain.ts';
import { MetricFilter } from '../../src/telemetry/metric-filter.ts';
import { Metrics } from '../../src/telemetry/metrics.ts';
import type { NamedProcess } from './proc.ts';
import { compileCache } from './program.ts';
import { TRUST_DOMAIN } from './server.ts';

/** This process as the host of plugins: those that are built in come from `dist`, confined as they are in the programs. */
export class BenchHost implements AsyncDisposable {
  readonly catalog: PluginCatalog;
  /** What was logged, but for what plugins write. */
  readonly records: readonly LogRecord[];

  private constructor(catalog: PluginCatalog, records: readonly LogRecord[]) {
    this.catalog = catalog;
    this.records = records;
  }

  static async load(dist: string, side: 'server' | 'agent', plugins: readonly PluginConfig[]): Promise<BenchHost> {
    const records: LogRecord[] = [];
    let written = 0;
    const log = new Logger((record) => {
      written += formatText(record).length; // as a program does, but for the writing
      if (written > 0 && KEPT_MESSAGES.has(record.message)) records.push(record);
    }, 'debug');
    Object.assign(process.env, compileCache(dist));
    const catalog = await PluginCatalog.load({
      side,
      plugins,
      trustDomain: parseTrustDomain(TRUST_DOMAIN),
      builtins: builtinPlugins(side, undefined, join(dist, 'assayer.js')),
      hostServices: [],
      telemetry: new PluginTelemetry(new Metrics({ prefix: 'bench', labels: [], filter: new MetricFilter(NO_FILTER) })),
      log,
      deadlines: { graceMs: 300 },
    });
    return new BenchHost(catalog, records);
  }

  /** This process, and the plugins that are processes. */
  get processes(): readonly NamedProcess[] {
    const plugins = this.catalog.plugins.flatMap(({ name, pid }) => (pid === undefined ? [] : [{ name, pid }]));
    return [{ name: 'host', pid: process.pid }, ...plugins];
  }

  /** This process, and that of one plugin under another name. */
  processesOf(pluginName: string, label: string): readonly NamedProcess[] {
    return this.processes
      .filter(({ name }) => name === 'host' || name === pluginName)
      .map(({ name, pid }) => ({ name: name === 'host' ? name : label, pid }));
  }

  /** How long the start of a plugin took, until its handshake and until it could be called; milliseconds. */
  startOf(pluginName: string): { readonly handshakeMs: number; readonly readyMs: number } {
    const field = (message: string, name: string) => {
      const record = this.records.find((known) => known.message === message && known.fields.plugin_name === pluginName);
      return Number(record?.fields[name]);
    };
    return { handshakeMs: field(HANDSHAKE, 'after_ms'), readyMs: field(LOADED, 'ready_ms') };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.catalog[Symbol.asyncDispose]();
  }
}

const NO_FILTER = { allowedPrefixes: [], blockedPrefixes: [], allowedLabels: [], blockedLabels: [] };
const HANDSHAKE = 'plugin said its handshake';
const LOADED = 'plugin loaded';
const KEPT_MESSAGES: ReadonlySet<string> = new Set([HANDSHAKE, LOADED]);

export function pluginConfig(config: Partial<PluginConfig> & Pick<PluginConfig, 'type' | 'name'>): PluginConfig {
  return { args: [], data: undefined, enabled: true, autoMtls: false, ...config };
}
