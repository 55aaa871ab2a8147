import { z } from 'zod';
import { decodeTree, pathKey } from './decode.ts';
import { describeIssue } from './describe-issue.ts';
import { parseConfig } from './parse-config.ts';
import { type ConfigProblem, configError } from './problem.ts';
import { knownKeysAt } from './schema-shape.ts';
import { findNearest } from './suggest.ts';
import type { ConfigNode, Position } from './syntax-tree.ts';

/** A value of the command line that goes before the file's. */
export interface Override {
  readonly path: readonly string[];
  readonly value: string | number | boolean;
  /** Such as `-logLevel`, for messages. */
  readonly flag: string;
}

export interface ReadOptions {
  /** The name of the file, for messages. */
  readonly source: string;
  /** The path of the tree's root in the file, such as `plugins.NodeAttestor.tpm.plugin_data`. */
  readonly path?: string;
  readonly overrides?: readonly Override[];
}

export type ReadResult<T> =
  | { readonly value: T; readonly problems: readonly [] }
  | { readonly value: undefined; readonly problems: readonly ConfigProblem[] };

/**
 * Reads HCL or JSON text, such as the `plugin_data` that a plugin is configured with.
 *
 * @throws SpiffeError `CONFIG_INVALID` that names every mistake by its line and path
 */
export function readConfigText<S extends z.core.$ZodType>(schema: S, text: string, options: ReadOptions): z.output<S> {
  const { value, problems } = readConfigTree(schema, parseConfig(text, options.source), options);
  if (problems.length > 0 || value === undefined) throw configError(problems);
  return value;
}

/** Reads a tree that was parsed; mistakes are returned, to be reported together with others. */
export function readConfigTree<S extends z.core.$ZodType>(
  schema: S,
  tree: ConfigNode,
  { source, path: root = '', overrides = [] }: ReadOptions,
): ReadResult<z.output<S>> {
  const decoded = decodeTree(tree, schema);
  const flags = new Map(overrides.map(({ path, flag }) => [pathKey(path), flag]));
  const problemAt = (path: readonly PropertyKey[], message: string, position?: Position): ConfigProblem => {
    const flag = flags.get(pathKey(path));
    if (flag !== undefined) return { source: 'command line', path: flag, message };
    return {
      source,
      position: position ?? nearestPosition(decoded.positions, path),
      path: formatPath(root, path),
      message,
    };
  };

  const value = withOverrides(decoded.value, overrides);
  const problems = decoded.repeated.map(({ path, position, first }) =>
    problemAt(path, `is given again, first on line ${first.line}: keep one of them`, position),
  );
  return checkValue(schema, value, problems, problemAt);
}

/**
 * Reads a value that is no configuration file, such as one that came signed.
 *
 * @throws SpiffeError `CONFIG_INVALID` that names every mistake by its path
 */
export function readConfigValue<S extends z.core.$ZodType>(
  schema: S,
  value: unknown,
  { source }: Pick<ReadOptions, 'source'>,
): z.output<S> {
  const problemAt = (path: readonly PropertyKey[], message: string) => ({
    source,
    path: formatPath('', path),
    message,
  });
  const checked = checkValue(schema, value, [], problemAt);
  if (checked.value === undefined) throw configError(checked.problems);
  return checked.value;
}

function checkValue<S extends z.core.$ZodType>(
  schema: S,
  value: unknown,
  problems: ConfigProblem[],
  problemAt: (path: readonly PropertyKey[], message: string) => ConfigProblem,
): ReadResult<z.output<S>> {
  const result = z.safeParse(schema, value, { error: (issue) => describeIssue(issue) });
  if (result.success && problems.length === 0) return { value: result.data, problems: [] };
  for (const issue of result.error?.issues ?? []) {
    if (issue.code === 'unrecognized_keys') {
      const known = knownKeysAt(schema, issue.path);
      for (const key of issue.keys) problems.push(problemAt([...issue.path, key], describeUnknownKey(key, known)));
    } else {
      problems.push(problemAt(issue.path, issue.message));
    }
  }
  return { value: undefined, problems };
}

/** More of them would hide the mistake. */
const MAX_KEYS_NAMED = 12;

function describeUnknownKey(key: string, known: readonly string[]): string {
  const nearest = findNearest(key, known);
  if (nearest !== undefined) return `is not a known key, did you mean "${nearest}"?`;
  if (known.length === 0) return 'is not a known key: none is known here';
  if (known.length > MAX_KEYS_NAMED) return 'is not a known key, and none has a name like it: remove it';
  return `is not a known key: known are ${known.toSorted().join(', ')}`;
}

function nearestPosition(positions: ReadonlyMap<string, Position>, path: readonly PropertyKey[]): Position | undefined {
  for (let length = path.length; length >= 0; length--) {
    const position = positions.get(pathKey(path.slice(0, length)));
    if (position) return position;
  }
  return undefined;
}

/** `server.federation.federates_with["a.example"].bundle_endpoint_url`, `authorized_delegates[0]`. */
function formatPath(root: string, path: readonly PropertyKey[]): string {
  let text = root;
  for (const step of path) {
    if (typeof step === 'number') text += `[${step}]`;
    else if (!/^[\w-]+$/.test(String(step))) text += `[${JSON.stringify(String(step))}]`;
    else text += text === '' ? String(step) : `.${String(step)}`;
  }
  return text;
}

function withOverrides(value: unknown, overrides: readonly Override[]): unknown {
  return overrides.reduce((changed, { path, value: given }) => withValueAt(changed, path, given), value);
}

function withValueAt(value: unknown, [step, ...rest]: readonly string[], given: unknown): unknown {
  if (step === undefined) return given;
  const object: Readonly<Record<string, unknown>> = isObject(value) ? value : {};
  return { ...object, [step]: withValueAt(object[step], rest, given) };
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
