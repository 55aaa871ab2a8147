import type { PluginConfig } from '../config/plugins.ts';
import type { Logger } from '../log/logger.ts';
import type { PluginSide, PluginType } from '../rpc/go-plugin.ts';
import type { BoundService } from '../rpc/service.ts';
import { isSpiffeError, messageOf, SpiffeError } from '../spiffe/error.ts';
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
import { PluginGeneration } from './plugin-generation.ts';
import { generationOptions, type HostOptions } from './plugin-options.ts';
import { PluginReloader } from './plugin-reloader.ts';
import { DEFAULT_DEADLINES, type PluginDeadlines, pluginLogFields } from './plugin-spec.ts';
import type { PluginStatus } from './plugin-status.ts';
import type { PluginTelemetry } from './plugin-telemetry.ts';
import { ControlGroup } from './sandbox/control-group.ts';
import { Sandbox } from './sandbox/sandbox.ts';
import { SocketFolder } from './socket-folder.ts';
import { type BuiltinPlugins, isInternal, toPluginSpecs } from './to-plugin-spec.ts';

export interface CatalogOptions {
  readonly side: PluginSide;
  readonly plugins: readonly PluginConfig[];
  readonly trustDomain: TrustDomain;
  readonly builtins: BuiltinPlugins;
  /** Offered to every plugin, in this order. */
  readonly hostServices: readonly BoundService[];
  /** Measures them, and has one more host service for each: `Metrics`, the last. */
  readonly telemetry?: PluginTelemetry;
  /** Where it is kept which user each plugin has; absent, they get new ones at every start. */
  readonly dataDir?: string;
  readonly log: Logger;
  readonly signal?: AbortSignal;
  /** The configuration as it is now, for a plugin that is reloaded; absent, it does not change. */
  readonly readPlugins?: () => Promise<readonly PluginConfig[]>;
  readonly deadlines?: Partial<PluginDeadlines>;
}

/** All plugins of a program. Disposing ends them. */
export class PluginCatalog implements AsyncDisposable {
  readonly reloader: PluginReloader;
  readonly #plugins: readonly Plugin[];
  readonly #internal: readonly PluginConfig[];
  readonly #keyManager: KeyManager;
  /** Server only. */
  readonly serverNodeAttestors: readonly ServerNodeAttestor[];
  /** Agent only; none where it attests with a join token, for which there is no plugin, several where these are stages of one. */
  readonly agentNodeAttestors: readonly AgentNodeAttestor[];
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

  private constructor(options: CatalogOptions, plugins: readonly Plugin[], internal: readonly PluginConfig[]) {
    const { side, log } = options;
    this.reloader = new PluginReloader(plugins, options);
    this.#plugins = plugins;
    this.#internal = internal;
    const ofType = (type: PluginType) => plugins.filter((plugin) => plugin.type === type);
    const [keyManager] = ofType('KeyManager');
    if (keyManager === undefined) throw new SpiffeError('CONFIG_INVALID', 'no KeyManager is configured');
    this.#keyManager = createKeyManager(keyManager);
    this.agentNodeAttestors = side === 'agent' ? ofType('NodeAttestor').map(createAgentNodeAttestor) : [];
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
    const internal = options.plugins.filter((config) => config.enabled && isInternal(config));
    const specs = toPluginSpecs(options);
    const host = await hostOptions(options);
    const results = await Promise.allSettled(specs.map((spec) => Plugin.start(spec, host)));
    const loaded = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
    const failures = results.flatMap((result): unknown[] => (result.status === 'rejected' ? [result.reason] : []));
    if (failures.length === 0) return new PluginCatalog(options, loaded, internal);
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
    const specs = toPluginSpecs(options);
    const host = await hostOptions(options);
    const problems = specs.map(async (spec): Promise<readonly string[]> => {
      try {
        await using _validated = await PluginGeneration.start(spec, generationOptions(spec, host), ['validate']);
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
      ...this.#plugins.map(({ type, name, pid, startedAt, health, sandbox, version, spec: { builtin } }) => {
        return { type, name, builtin, version, pid, startedAt, ...health, sandbox };
      }),
      ...this.#internal.map(({ type, name }) => ({ type, name, builtin: true, state: 'internal' }) as const),
    ];
  }

  /** Agent only; undefined where there is none. */
  get agentNodeAttestor(): AgentNodeAttestor | undefined {
    return this.agentNodeAttestors[0];
  }

  get keyManager(): KeyManager {
    return this.#keyManager;
  }

  findServerNodeAttestor(name: string): ServerNodeAttestor | undefined {
    return this.serverNodeAttestors.find((attestor) => attestor.name === name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.reloader[Symbol.asyncDispose]();
    await disposeAll(this.#plugins);
  }
}

async function hostOptions(options: CatalogOptions): Promise<HostOptions> {
  const { hostServices, telemetry, trustDomain, log, signal, dataDir } = options;
  await Promise.all([SocketFolder.removeStale(), ControlGroup.removeStale()]);
  const deadlines = { ...DEFAULT_DEADLINES, ...options.deadlines };
  return { trustDomain, hostServices, telemetry, deadlines, sandbox: new Sandbox({ dataDir, log }), log, signal };
}

async function disposeAll(plugins: readonly Plugin[]): Promise<void> {
  await Promise.all(plugins.map((plugin) => plugin[Symbol.asyncDispose]()));
}

function toOneError(failures: readonly unknown[]): unknown {
  const [only] = failures;
  if (failures.length === 1) return only;
  const messages = failures.map((failure) => messageOf(failure));
  const code = failures.every((failure) => isSpiffeError(failure, 'CANCELLED')) ? 'CANCELLED' : 'PLUGIN_NOT_LOADED';
  return new SpiffeError(code, messages.join('; '), { cause: new AggregateError(failures) });
}
