import type { ZodType } from 'zod';
import { readConfigText } from '../config/read-config.ts';
import {
  ConfigDefinition,
  type ConfigureRequest,
  ConfigureResponse,
} from '../gen/spire/service/common/config/v1/config.ts';
import { type BoundService, bindService } from '../rpc/service.ts';
import { isSpiffeError, SpiffeError } from '../spiffe/error.ts';
import { parseTrustDomain, type TrustDomain } from '../spiffe/trust-domain.ts';
import type { PluginRuntime } from './plugin.ts';

export interface ConfigureContext extends PluginRuntime {
  readonly trustDomain: TrustDomain;
  readonly signal: AbortSignal;
}

/** How a plugin takes its configuration; without a `config` it takes none. */
export interface ConfigurationOptions<Config, State> {
  /** A strict object: an unknown key is a mistake. */
  readonly config: ZodType<Config>;
  /**
   * Turns the configuration into what every call is handed: reads the files it names, opens what it needs. A state that can
   * be disposed of is, once another takes its place and before the plugin ends.
   * Runs for Validate too, whose state is dropped at once. @throws to refuse the configuration.
   */
  readonly configure: (config: Config, context: ConfigureContext) => State | Promise<State>;
}

/** A configuration in force: a value that is swapped, never edited. */
export interface Configured<State> {
  readonly state: State;
  readonly trustDomain: TrustDomain;
}

/** The service `Config`; disposing ends what is in force, so that nothing is answered until the next Configure. */
export interface ConfigurationService extends BoundService, AsyncDisposable {}

/** Serves `Config`, and holds what was configured last. */
export class Configuration<Config, State> {
  readonly #options: ConfigurationOptions<Config, State>;
  readonly #runtime: PluginRuntime;
  #current: Configured<State> | undefined;

  readonly #handlers = bindService(ConfigDefinition, {
    configure: async (request, { signal }) => {
      await this.#replaceBy(await this.#read(request, signal));
      return ConfigureResponse.create();
    },
    validate: async (request, { signal }) => {
      try {
        const { state } = await this.#read(request, signal);
        await dispose(state);
        return { valid: true, notes: [] };
      } catch (error) {
        if (!isSpiffeError(error)) throw error;
        return { valid: false, notes: error.message.split('\n') };
      }
    },
  });

  readonly service: ConfigurationService = {
    ...this.#handlers,
    [Symbol.asyncDispose]: () => this.#replaceBy(undefined),
  };

  constructor(options: ConfigurationOptions<Config, State>, runtime: PluginRuntime) {
    this.#options = options;
    this.#runtime = runtime;
  }

  /** @throws SpiffeError `FAILED_PRECONDITION` before the first Configure. */
  get current(): Configured<State> {
    if (this.#current === undefined) throw new SpiffeError('FAILED_PRECONDITION', 'not configured');
    return this.#current;
  }

  async #replaceBy(next: Configured<State> | undefined): Promise<void> {
    const previous = this.#current;
    this.#current = next;
    await dispose(previous?.state);
  }

  async #read(
    { coreConfiguration, hclConfiguration }: ConfigureRequest,
    signal: AbortSignal,
  ): Promise<Configured<State>> {
    if (coreConfiguration === undefined || coreConfiguration.trustDomain === '') {
      throw new SpiffeError('CONFIG_INVALID', 'the host gave no trust domain');
    }
    const trustDomain = parseTrustDomain(coreConfiguration.trustDomain);
    const config = readConfigText(this.#options.config, hclConfiguration, { source: 'plugin_data' });
    return { state: await this.#options.configure(config, { ...this.#runtime, trustDomain, signal }), trustDomain };
  }
}

/** Ends what a plugin has open, before it ends itself. @throws what a state throws when it is disposed of */
export async function endConfigurations(services: readonly BoundService[]): Promise<void> {
  for (const service of services) await dispose(service);
}

async function dispose(state: unknown): Promise<void> {
  await using stack = new AsyncDisposableStack();
  if (isDisposable(state)) stack.use(state);
}

function isDisposable(state: unknown): state is AsyncDisposable | Disposable {
  return typeof state === 'object' && state !== null && (Symbol.asyncDispose in state || Symbol.dispose in state);
}
