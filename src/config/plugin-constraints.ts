import { messageOf, SpiffeError } from '../spiffe/error.ts';
import { COMPOSITE, isComposite, readCompositeRule } from './composite-rule.ts';
import type { PluginConfig } from './plugins.ts';
import { findNearest } from './suggest.ts';

interface Count {
  readonly least: number;
  readonly most?: number;
}

const ANY: Count = { least: 0 };
const MAYBE_ONE: Count = { least: 0, most: 1 };
const EXACTLY_ONE: Count = { least: 1, most: 1 };
const ONE_OR_MORE: Count = { least: 1 };

/** How many plugins of a type each program takes. Source: plugin-wire §8. */
export const PLUGIN_COUNTS = {
  server: {
    DataStore: EXACTLY_ONE,
    NodeAttestor: ANY,
    KeyManager: EXACTLY_ONE,
    UpstreamAuthority: MAYBE_ONE,
    Notifier: ANY,
    BundlePublisher: ANY,
    CredentialComposer: ANY,
  },
  agent: {
    NodeAttestor: EXACTLY_ONE,
    KeyManager: EXACTLY_ONE,
    SVIDStore: ANY,
    WorkloadAttestor: ONE_OR_MORE,
  },
} as const satisfies Readonly<Record<PluginSide, Readonly<Record<string, Count>>>>;

export type PluginSide = 'server' | 'agent';

/** A rule that a plugin, or the plugins of a type together, break. */
export interface PluginConstraintProblem {
  /** Absent where the count of a type is wrong. */
  readonly plugin?: PluginConfig;
  readonly message: string;
}

/**
 * @throws SpiffeError `CONFIG_INVALID` naming every rule broken, one a line
 * @see plugin-wire §8 (counts), §11
 */
export function requirePluginConstraints(side: PluginSide, plugins: readonly PluginConfig[]): void {
  const problems = findPluginConstraintProblems(side, plugins);
  if (problems.length === 0) return;
  throw new SpiffeError('CONFIG_INVALID', problems.map(({ message }) => message).join('\n'));
}

/** Every rule broken; none is a good sign. */
export function findPluginConstraintProblems(
  side: PluginSide,
  plugins: readonly PluginConfig[],
): readonly PluginConstraintProblem[] {
  const problems: PluginConstraintProblem[] = [];
  const counts: Readonly<Record<string, Count>> = PLUGIN_COUNTS[side];
  for (const plugin of plugins) {
    const message = Object.hasOwn(counts, plugin.type) ? refusalOf(plugin) : unknownType(side, plugin.type);
    if (message !== undefined) problems.push({ plugin, message });
  }
  const composite = plugins.find((plugin) => plugin.enabled && isComposite(plugin));
  if (composite !== undefined) problems.push(...findCompositeProblems(side, composite, plugins));
  for (const [type, count] of Object.entries(counts)) {
    const found = countOf(type, side, plugins);
    const expected = expectation(count, found);
    if (expected === undefined) continue;
    problems.push({ message: `plugin type "${type}" constraint not satisfied: expected ${expected} but got ${found}` });
  }
  return problems;
}

/** The stages of an agent's composite attestor count as one with it. */
function countOf(type: string, side: PluginSide, plugins: readonly PluginConfig[]): number {
  const found = plugins.filter((plugin) => plugin.type === type && plugin.enabled);
  return side === 'agent' && found.some(isComposite) ? 1 : found.length;
}

function findCompositeProblems(
  side: PluginSide,
  plugin: PluginConfig,
  plugins: readonly PluginConfig[],
): readonly PluginConstraintProblem[] {
  const name = `NodeAttestor "${COMPOSITE}"`;
  if (plugin.data !== undefined && 'file' in plugin.data) {
    return [{ plugin, message: `${name} takes plugin_data, and no plugin_data_file` }];
  }
  if (side === 'agent') {
    if (plugin.data === undefined) return [];
    return [{ plugin, message: `${name} has no options on an agent: its stages are the other NodeAttestors there` }];
  }
  try {
    readCompositeRule(plugins);
    return [];
  } catch (error) {
    return [{ plugin, message: messageOf(error) }];
  }
}

function expectation({ least, most }: Count, found: number): string | undefined {
  if (most === least) return found === least ? undefined : `exactly ${least}`;
  if (found < least) return `at least ${least}`;
  return most !== undefined && found > most ? `at most ${most}` : undefined;
}

function unknownType(side: PluginSide, type: string): string {
  const known = Object.keys(PLUGIN_COUNTS[side]);
  const nearest = findNearest(type, known);
  const hint = nearest === undefined ? `known are ${known.join(', ')}` : `did you mean "${nearest}"?`;
  return `${JSON.stringify(type)} is not a type of plugin that the ${side} knows: ${hint}`;
}

function refusalOf({ type, name, command, attach }: PluginConfig): string | undefined {
  const isExternal = command !== undefined || attach !== undefined;
  const key = attach === undefined ? 'plugin_cmd' : 'plugin_socket';
  if (type === 'DataStore') {
    if (name !== 'sql') return `a DataStore is built in and its name is "sql", not ${JSON.stringify(name)}`;
    if (isExternal) return `${key} cannot be used for a DataStore: it is built in and starts no process`;
  }
  if (type === 'NodeAttestor' && (name === 'join_token' || name === COMPOSITE) && isExternal) {
    return `${key} cannot be used for NodeAttestor "${name}": it is built in and starts no process`;
  }
  return undefined;
}
