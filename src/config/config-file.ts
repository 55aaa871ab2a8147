import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { z } from 'zod';
import { SpiffeError } from '../spiffe/error.ts';
import { expandEnv } from './expand-env.ts';
import { healthChecksConfig } from './health-config.ts';
import { parseConfig } from './parse-config.ts';
import { findPluginConstraintProblems, type PluginSide } from './plugin-constraints.ts';
import { type PluginBlock, readPlugins } from './plugins.ts';
import { type ConfigProblem, configError } from './problem.ts';
import { type Override, readConfigTree } from './read-config.ts';
import type { ObjectNode } from './syntax-tree.ts';
import { telemetryConfig } from './telemetry-config.ts';

export interface ReadFileOptions {
  readonly path: string;
  /** `-expandEnv`: replace `$NAME` and `${NAME}` before the text is parsed. */
  readonly expandEnv?: boolean;
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/** The sections of a file that both programs have. */
export const sharedSections = {
  plugins: z.unknown().refine((value) => value !== undefined, { error: 'is required' }),
  telemetry: telemetryConfig,
  health_checks: healthChecksConfig,
};

/**
 * Reads a file in HCL or JSON, its plugins counted.
 *
 * @param check more mistakes to report together with the others, found in the plugins
 * @throws SpiffeError `FILE_UNUSABLE`; `CONFIG_INVALID` with every mistake, one a line
 */
export function readConfigFile<S extends z.ZodType>(
  side: PluginSide,
  schema: S,
  options: ReadFileOptions,
  overrides: readonly Override[],
  check: (blocks: readonly PluginBlock[]) => readonly ConfigProblem[] = () => [],
): { readonly value: z.output<S>; readonly blocks: readonly PluginBlock[] } {
  const { path: source } = options;
  const tree = parseConfig(readText(options), source);
  const { value, problems } = readConfigTree(schema, tree, { source, overrides });
  const { blocks, problems: blockProblems } = readPlugins(pluginSections(tree), source);
  const allProblems = [...problems, ...blockProblems];
  if (blockProblems.length === 0 && pluginSections(tree).length > 0) {
    allProblems.push(...constraintProblems(side, blocks, tree, source), ...check(blocks));
  }
  if (allProblems.length > 0 || value === undefined) throw configError(allProblems);
  return { value, blocks };
}

function readText({ path, expandEnv: isExpanded = false, env = {} }: ReadFileOptions): string {
  const text = readOrRefuse(path, 'use -config to name the file');
  return isExpanded ? expandEnv(text, env) : text;
}

/** @throws SpiffeError `FILE_UNUSABLE` */
export function readOrRefuse(path: string, advice: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
    const what = code === 'ENOENT' ? 'does not exist' : `cannot be read (${code})`;
    throw new SpiffeError('FILE_UNUSABLE', `${resolve(path)} ${what}: ${advice}`, { cause });
  }
}

function pluginSections(tree: ObjectNode) {
  return tree.items.filter((item) => item.keys[0].toLowerCase() === 'plugins').map((item) => item.value);
}

function constraintProblems(
  side: PluginSide,
  blocks: readonly PluginBlock[],
  tree: ObjectNode,
  source: string,
): readonly ConfigProblem[] {
  const section = pluginSections(tree)[0];
  const plugins = blocks.map(({ plugin }) => plugin);
  return findPluginConstraintProblems(side, plugins).map(({ plugin, message }) => ({
    source,
    position: blocks.find((block) => block.plugin === plugin)?.position ?? section?.position,
    path: plugin === undefined ? 'plugins' : `plugins.${plugin.type}.${plugin.name}`,
    message,
  }));
}
