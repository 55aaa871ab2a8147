import { resolve } from 'node:path';
import { requirePluginConstraints } from '../config/plugin-constraints.ts';
import type { PluginConfig } from '../config/plugins.ts';
import type { ManifestOf } from '../config/sandbox-config.ts';
import type { Logger } from '../log/logger.ts';
import { PLUGIN_TYPES, type PluginSide, type PluginType } from '../rpc/go-plugin.ts';
import type { BoundService } from '../rpc/service.ts';
import { isSpiffeError, SpiffeError } from '../spiffe/error.ts';
import type { TrustDomain } from '../spiffe/trust-domain.ts';
import { type AgentNodeAttestor, createAgentNodeAttestor } from './kinds/agent-node-attestor.ts';
import { type BundlePublisher, createBundlePublisher } from './kinds/bundle-publisher.ts';
import { type CredentialComposer, createCredentialComposer } from './kinds/credential-composer.ts';
import { createKeyManager, type KeyManager } from './kinds/key-manager.ts';
import { createNotifier, type Notifier } from './kinds/notifier.ts';
import { createServerNodeAttestor, type ServerNodeAttestor } from './kinds/server-node-attestor.ts';
import { createSvidStore, type SvidStore } from './kinds/svid-store.ts';
import { createUpstreamAuthority, type UpstreamAuthority } from './kinds/upstream-authority.ts';
import { createWorkloadAttestor, type WorkloadAttestor } from './kinds/workload-attestor.ts';
import { Plugin } from './plugin.ts';
import { type GenerationOptions, PluginGeneration } from './plugin-generation.ts';
import { DEFAULT_DEADLINES, type PluginDeadlines, type PluginSpec, pluginLogFields } from './plugin-spec.ts';
import { ControlGroup } from './sandbox/control-group.ts';
import { Sandbox } from './sandbox/sandbox.ts';
import { SocketFolder } from './socket-folder.ts';

/** The executable of a plugin that comes with the program; undefined where there is none of that name. */
export type BuiltinPlugins = (type: PluginType, name: string) => BuiltinPlugin | undefined;

export interface BuiltinPlugin {
  readonly command: string;
  readonly args: readonly string[];
  /** What it needs of the system; without one it is confined no more than a plugin of others. */
  readonly manifest?: ManifestOf;
  /** Files and folders that it runs from, beside the command. */
  readonly program?: readonly string[];
}

export interface CatalogOptions {
  readonly side: PluginSide;
  readonly plugins: readonly PluginConfig[];
  readonly trustDomain: TrustDomain;
  readonly builtins: BuiltinPlugins;
  /** Offered to every plugin, in this order. */
  readonly hostServices: readonly BoundService[];
  /** Where it is kept which user each plugin has; absent, they get new ones at every start. */
  readonly dataDir?: string;
  readonly log: Logger;
  readonly signal?: AbortSignal;
  readonly deadlines?: Partial<PluginDeadlines>;
}

export interface PluginStatus {
  readonly type: string;
  readonly name: string;
  readonly builtin: boolean;
  /** Absent for what is part of the program itself. */
  readonly pid?: number;
  readonly state: 'running' | 'restarting' | 'unhealthy' | 'internal';
  readonly startedAt?: Date;
  /** Counts the plugin's processes; absent for what is part of the program. */
  readonly generation?: number;
  readonly restarts?: number;
  readonly lastError?: string | undefined;
}

/** All plugins of a program. Disposing ends them. */
export class PluginCatalog implements AsyncDisposable {
  readonly #plugins: readonly Plugin[];
  readonly #internal: readonly PluginConfig[];
  readonly #keyManager: KeyManager;
  /** Server only. */
  readonly serverNodeAttestors: readonly ServerNodeAttestor[];
  /** Agent only; undefined where it attests with a join token, for which there is no plugin. */
  readonly agentNodeAttestor: AgentNodeAttestor | undefined;
  /** Agent only. */
  readonly workloadAttestors: readonly WorkloadAttestor[];
  /** Agent only. */
  readonly svidStores: readonly SvidStore[];
  /** Server only; undefined where the server's CA signs itself. */
  readonly upstreamAuthority: UpstreamAuthority | undefined;
  /** Server only, like the rest; composers in the order of the configuration, in which they have their say. */
  readonly notifiers: readonly Notifier[];
  readonly bundlePublishers: readonly BundlePublisher[];
  readonly credentialComposers: readonly CredentialComposer[];

  private constructor(side: PluginSide, plugins: readonly Plugin[], internal: readonly PluginConfig[], log: Logger) {
    this.#plugins = plugins;
    this.#internal = internal;
    const ofType = (type: PluginType) => plugins.filter((plugin) => plugin.type === type);
    const [keyManager] = ofType('KeyManager');
    if (keyManager === undefined) throw new SpiffeError('CONFIG_INVALID', 'no KeyManager is configured');
    this.#keyManager = createKeyManager(keyManager);
    const [agentNodeAttestor] = ofType('NodeAttestor').filter(() => side === 'agent');
    this.agentNodeAttestor = agentNodeAttestor && createAgentNodeAttestor(agentNodeAttestor);
    this.serverNodeAttestors = side === 'server' ? ofType('NodeAttestor').map(createServerNodeAttestor) : [];
    this.workloadAttestors = ofType('WorkloadAttestor').map(createWorkloadAttestor);
    this.svidStores = ofType('SVIDStore').map(createSvidStore);
    const [upstreamAuthority] = ofType('UpstreamAuthority').map((plugin) =>
      createUpstreamAuthority(plugin, log.child(pluginLogFields(plugin.spec))),
    );
    this.upstreamAuthority = upstreamAuthority;
    this.notifiers = ofType('Notifier').map(createNotifier);
    this.bundlePublishers = ofType('BundlePublisher').map(createBundlePublisher);
    this.credentialComposers = ofType('CredentialComposer').map(createCredentialComposer);
  }

  /**
   * Starts all plugins that are enabled, side by side. One that fails ends the others.
   *
   * @throws SpiffeError `CONFIG_INVALID` for a selection that the program cannot have; `PLUGIN_NOT_LOADED` naming every
   * plugin that failed and why; `CANCELLED` by the signal.
   */
  static async load(options: CatalogOptions): Promise<PluginCatalog> {
    const { side, plugins: configs, log } = options;
    const internal = configs.filter((config) => config.enabled && isInternal(config));
    const specs = toSpecs(options);
    const generation = await generationOptions(options);
    const results = await Promise.allSettled(specs.map((spec) => Plugin.start(spec, generation)));
    const loaded = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
    const failures = results.flatMap((result): unknown[] => (result.status === 'rejected' ? [result.reason] : []));
    if (failures.length === 0) return new PluginCatalog(side, loaded, internal, log);
    await disposeAll(loaded);
    throw toOneError(failures);
  }

  /**
   * Starts all plugins that are enabled, asks each what it thinks of its configuration, and ends them.
   *
   * @returns what is wrong, a sentence each; nothing where all is well.
   * @throws SpiffeError `CONFIG_INVALID` for a selection that the program cannot have
   */
  static async validate(options: CatalogOptions): Promise<readonly string[]> {
    const specs = toSpecs(options);
    const generation = await generationOptions(options);
    const problems = specs.map(async (spec): Promise<readonly string[]> => {
      try {
        const log = options.log.child(pluginLogFields(spec));
        await using _validated = await PluginGeneration.start(spec, { ...generation, log }, 'validate');
        return [];
      } catch (error) {
        if (!isSpiffeError(error)) throw error;
        return [error.message];
      }
    });
    return (await Promise.all(problems)).flat();
  }

  /** In the order of the configuration, but for what is part of the program, which comes last. */
  get plugins(): readonly PluginStatus[] {
    return [
      ...this.#plugins.map(({ type, name, pid, startedAt, health, spec: { builtin } }) => {
        return { type, name, builtin, pid, startedAt, ...health };
      }),
      ...this.#internal.map(({ type, name }) => ({ type, name, builtin: true, state: 'internal' }) as const),
    ];
  }

  get keyManager(): KeyManager {
    return this.#keyManager;
  }

  findServerNodeAttestor(name: string): ServerNodeAttestor | undefined {
    return this.serverNodeAttestors.find((attestor) => attestor.name === name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await disposeAll(this.#plugins);
  }
}

function toSpecs(options: CatalogOptions): readonly PluginSpec[] {
  requirePluginConstraints(options.side, options.plugins);
  const enabled = options.plugins.filter((config) => config.enabled && !isInternal(config));
  return enabled.map((config) => toSpec(config, options));
}

async function generationOptions(options: CatalogOptions): Promise<GenerationOptions> {
  const { hostServices, trustDomain, log, signal, dataDir } = options;
  await Promise.all([SocketFolder.removeStale(), ControlGroup.removeStale()]);
  const deadlines = { ...DEFAULT_DEADLINES, ...options.deadlines };
  return { trustDomain, hostServices, deadlines, sandbox: new Sandbox({ dataDir, log }), log, signal };
}

/** What is configured like a plugin and is none. */
function isInternal({ type, name }: PluginConfig): boolean {
  return type === 'DataStore' || (type === 'NodeAttestor' && name === 'join_token');
}

function toSpec(config: PluginConfig, { side, builtins }: CatalogOptions): PluginSpec {
  const { name, checksum, data, autoMtls, sandbox } = config;
  const label = `${config.type} ${JSON.stringify(name)}`;
  const type = PLUGIN_TYPES.find((known) => known === config.type);
  if (type === undefined) throw new SpiffeError('CONFIG_INVALID', `${label}: there are no plugins of this type`);
  if (config.command) {
    const command = resolve(config.command);
    return { side, type, name, builtin: false, command, args: config.args, checksum, data, autoMtls, sandbox };
  }
  const found = builtins(type, name);
  if (found === undefined) {
    throw new SpiffeError('CONFIG_INVALID', `${label} is not built in: name its executable with plugin_cmd`);
  }
  return { side, type, name, builtin: true, ...found, checksum, data, autoMtls, sandbox };
}

async function disposeAll(plugins: readonly Plugin[]): Promise<void> {
  await Promise.all(plugins.map((plugin) => plugin[Symbol.asyncDispose]()));
}

function toOneError(failures: readonly unknown[]): unknown {
  const [only] = failures;
  if (failures.length === 1) return only;
  const messages = failures.map((failure) => (failure instanceof Error ? failure.message : String(failure)));
  const code = failures.every((failure) => isSpiffeError(failure, 'CANCELLED')) ? 'CANCELLED' : 'PLUGIN_NOT_LOADED';
  return new SpiffeError(code, messages.join('; '), { cause: new AggregateError(failures) });
}
