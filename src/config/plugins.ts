import { z } from 'zod';
import { withoutFirstKey } from './decode.ts';
import { duration, flag, onEveryBlock, optionalText, orUnset, textList } from './fields.ts';
import { printHcl } from './print.ts';
import type { ConfigProblem } from './problem.ts';
import { readConfigTree } from './read-config.ts';
import { type SandboxConfig, sandboxConfig } from './sandbox-config.ts';
import type { ConfigNode, ObjectNode, Position } from './syntax-tree.ts';

/** One block `Type "name" { … }` of the section `plugins`. Source: inventory C137 to C142. */
export interface PluginConfig {
  readonly type: string;
  readonly name: string;
  /** `plugin_cmd`; absent for a built-in plugin. */
  readonly command?: string;
  readonly args: readonly string[];
  /** SHA-256 of the executable, 64 hexadecimal digits in lower case. */
  readonly checksum?: string;
  readonly data: PluginData | undefined;
  readonly enabled: boolean;
  /** `plugin_socket` or `plugin_attach`, which SPIRE does not have: the handshake line of one that runs already. */
  readonly attach?: string;
  /** `auto_mtls`, which SPIRE does not have: ask the plugin for go-plugin's AutoMTLS. */
  readonly autoMtls: boolean;
  /** `sandbox`, which SPIRE does not have either. */
  readonly sandbox?: SandboxConfig;
  /** `attest_timeout`, which SPIRE does not have either: how long a workload attestor may take for one workload. */
  readonly attestTimeoutSeconds?: number;
}

/** HCL text for `Configure`, or a file that holds it and is read again at SIGUSR1. */
export type PluginData = { readonly text: string } | { readonly file: string };

/** A plugin and where its block starts. */
export interface PluginBlock {
  readonly plugin: PluginConfig;
  readonly position: Position;
  /** What `data.text` is printed from, for a reader that names lines of the file. */
  readonly data: ObjectNode;
}

const pluginBlock = z
  .strictObject({
    plugin_cmd: optionalText,
    plugin_args: textList,
    plugin_checksum: orUnset(
      z.string().regex(/^[0-9a-f]{64}$/i, { error: 'must be a SHA-256 digest, 64 hexadecimal digits' }),
    ),
    plugin_data: z.unknown().optional(),
    plugin_data_file: z.string().optional(),
    plugin_socket: orUnset(z.string().regex(/^\/[^|]*$/, { error: 'must be the absolute path of a Unix socket' })),
    plugin_attach: orUnset(
      z.string().regex(/^\d{1,4}\|\d{1,4}\|unix\|\/[^|]*\|grpc(?:\|(?:\|false)?)?$/, {
        error: 'must be the handshake line of a plugin without TLS, such as "1|1|unix|/run/plugin.sock|grpc|"',
      }),
    ),
    enabled: z.boolean().default(true),
    auto_mtls: flag,
    sandbox: sandboxConfig.optional(),
    attest_timeout: orUnset(
      duration.refine((seconds) => seconds >= 0.1 && seconds <= 300, {
        error: 'must be 100ms at least and 5m at most',
      }),
    ),
  })
  .superRefine((raw, ctx) => {
    if (raw.plugin_data !== undefined && raw.plugin_data_file !== undefined) {
      ctx.addIssue('only one of plugin_data and plugin_data_file can be used');
    }
    const [attach, ...rest] = [raw.plugin_socket, raw.plugin_attach].filter((value) => value !== undefined);
    if (attach === undefined) return;
    if (rest.length > 0) ctx.addIssue('only one of plugin_socket and plugin_attach can be used');
    for (const [key, isGiven] of Object.entries({
      plugin_cmd: raw.plugin_cmd !== undefined,
      plugin_args: raw.plugin_args.length > 0,
      plugin_checksum: raw.plugin_checksum !== undefined,
      auto_mtls: raw.auto_mtls,
      sandbox: raw.sandbox !== undefined,
    })) {
      if (isGiven) ctx.addIssue(`${key} is for a plugin that the program starts, not for one that runs already`);
    }
  }, onEveryBlock);

/**
 * Reads the section `plugins` in the order of the file. Blocks may be nested in any way, as in JSON:
 * `NodeAttestor "tpm" { … }`, `NodeAttestor { tpm { … } }`, `"NodeAttestor": [{ "tpm": { … } }]`.
 */
export function readPlugins(
  section: readonly ConfigNode[],
  source: string,
): { readonly blocks: readonly PluginBlock[]; readonly problems: readonly ConfigProblem[] } {
  const problems: ConfigProblem[] = [];
  const blocks: PluginBlock[] = [];
  const seen = new Map<string, Position>();
  for (const { type, name, body, position } of section.flatMap((node) => findBlocks(node, []))) {
    const path = `plugins.${type}.${name}`;
    const key = JSON.stringify([type, name]);
    const first = seen.get(key);
    if (first) {
      problems.push({ source, position, path, message: `is declared more than once, first on line ${first.line}` });
      continue;
    }
    seen.set(key, position);
    const dataNodes = dataNodesOf(body);
    const misplaced = dataNodes.find((node) => node.kind !== 'object');
    if (misplaced) {
      problems.push({
        source,
        position: misplaced.position,
        path: `${path}.plugin_data`,
        message: 'must be a block, { … }',
      });
    }
    const read = readConfigTree(pluginBlock, body, { source, path });
    problems.push(...read.problems);
    if (read.value === undefined) continue;
    const raw = read.value;
    if (raw.attest_timeout !== undefined && type !== 'WorkloadAttestor') {
      problems.push({ source, position, path: `${path}.attest_timeout`, message: 'is for a WorkloadAttestor' });
    }
    const data = mergedData(dataNodes, position);
    blocks.push({
      position,
      data,
      plugin: {
        type,
        name,
        ...(raw.plugin_cmd === undefined ? {} : { command: raw.plugin_cmd }),
        args: raw.plugin_args,
        ...(raw.plugin_checksum === undefined ? {} : { checksum: raw.plugin_checksum.toLowerCase() }),
        data: raw.plugin_data_file === undefined ? textData(data) : { file: raw.plugin_data_file },
        enabled: raw.enabled,
        ...attachOf(raw.plugin_socket, raw.plugin_attach),
        autoMtls: raw.auto_mtls,
        ...(raw.sandbox === undefined ? {} : { sandbox: raw.sandbox }),
        ...(raw.attest_timeout === undefined ? {} : { attestTimeoutSeconds: raw.attest_timeout }),
      },
    });
  }
  return { blocks, problems };
}

interface FoundBlock {
  readonly type: string;
  readonly name: string;
  readonly body: ConfigNode;
  readonly position: Position;
}

function findBlocks(node: ConfigNode, outer: readonly string[]): readonly FoundBlock[] {
  if (node.kind === 'list') return node.items.flatMap((item) => findBlocks(item, outer));
  if (node.kind === 'literal') return [];
  return node.items.flatMap((item) => {
    const [type, name] = [...outer, ...item.keys];
    if (type === undefined) return [];
    if (name === undefined) return findBlocks(item.value, [type]);
    const own = withoutFirstKey(item);
    const body = outer.length > 0 ? own : innerOf(own);
    return [{ type, name, body, position: item.position }];
  });
}

/** The value of an object's only item. */
function innerOf(node: ConfigNode): ConfigNode {
  const [item] = node.kind === 'object' ? node.items : [];
  return item ? withoutFirstKey(item) : node;
}

function dataNodesOf(body: ConfigNode): readonly ConfigNode[] {
  const objects = body.kind === 'list' ? body.items : [body];
  return objects
    .flatMap((object) =>
      object.kind === 'object'
        ? object.items.filter((item) => item.keys[0].toLowerCase() === 'plugin_data').map(withoutFirstKey)
        : [],
    )
    .flatMap((node) => (node.kind === 'list' ? node.items : [node]));
}

function attachOf(socket: string | undefined, line: string | undefined): Pick<PluginConfig, 'attach'> {
  if (socket !== undefined) return { attach: `1|1|unix|${socket}|grpc|` };
  return line === undefined ? {} : { attach: line };
}

function mergedData(nodes: readonly ConfigNode[], position: Position): ObjectNode {
  const objects = nodes.filter((node) => node.kind === 'object');
  return { kind: 'object', items: objects.flatMap((node) => node.items), position: objects[0]?.position ?? position };
}

function textData(data: ObjectNode): PluginData | undefined {
  const text = printHcl(data);
  return text === '' ? undefined : { text };
}
