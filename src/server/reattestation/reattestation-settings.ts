import { z } from 'zod';
import type { PluginConfig } from '../../config/plugins.ts';
import { readLoosely } from '../../config/read-setting.ts';
import { reattestationFields } from '../../config/reattestation-fields.ts';
import type { ServerNodeAttestor } from '../../plugin-host/kinds/server-node-attestor.ts';

/** What becomes of an agent whose node is no longer what its policy wants. */
export type OnChange = 'selectors' | 'ban' | 'warn';

/** How an attestor's agents are kept under watch. */
export interface ReattestationSettings {
  readonly intervalMs: number;
  readonly onChange: OnChange;
  /** Whom to tell of changes of verdict. */
  readonly webhook?: string | undefined;
}

/** What an attestor is configured with. */
type Configured = Pick<ServerNodeAttestor, 'name' | 'configuration'>;

interface ReadText {
  readonly text: string;
  readonly settings: ReattestationSettings | undefined;
}

const fields = z.object(reattestationFields);

/**
 * The attestors whose agents show evidence again and again: `reattest_interval`, `on_change` and `verdict_webhook` of their
 * configuration, which the attestor checks with the rest. Each look is at what the attestor has at that moment, so that a
 * `plugin_data_file` that was written counts once the attestor has taken it.
 */
export class Reattestation {
  readonly #attestors: readonly Configured[];
  readonly #read = new Map<string, ReadText>();

  constructor(attestors: readonly Configured[]) {
    this.#attestors = attestors;
  }

  /** @param plugins of the configuration, for attestors that are no plugins but part of the server. */
  static of(plugins: readonly PluginConfig[], attestors: readonly Configured[]): Reattestation {
    const loaded = new Set(attestors.map(({ name }) => name));
    const internal = plugins.flatMap(({ type, name, data, enabled }) =>
      type === 'NodeAttestor' && enabled && !loaded.has(name) && data !== undefined && 'text' in data
        ? [{ name, configuration: data.text }]
        : [],
    );
    return new Reattestation([...attestors, ...internal]);
  }

  find(attestor: string): ReattestationSettings | undefined {
    const found = this.#attestors.find(({ name }) => name === attestor);
    return found && this.#settingsOf(found);
  }

  /** By the attestor's name. */
  get all(): ReadonlyMap<string, ReattestationSettings> {
    return new Map(
      this.#attestors.flatMap((attestor) => {
        const settings = this.#settingsOf(attestor);
        return settings === undefined ? [] : [[attestor.name, settings] as const];
      }),
    );
  }

  #settingsOf({ name, configuration: text }: Configured): ReattestationSettings | undefined {
    const known = this.#read.get(name);
    if (known?.text === text) return known.settings;
    const settings = readSettings(text);
    this.#read.set(name, { text, settings });
    return settings;
  }
}

function readSettings(text: string): ReattestationSettings | undefined {
  const { data } = fields.safeParse(readLoosely(text));
  const { reattest_interval: intervalMs, on_change: onChange, verdict_webhook: webhook } = data ?? {};
  if (intervalMs === undefined || onChange === undefined) return undefined;
  return { intervalMs, onChange, ...(webhook === undefined ? {} : { webhook }) };
}
