import type { z } from 'zod';
import { inputShapeOf } from './schema-shape.ts';
import type { ConfigNode, LiteralNode, ObjectItem, ObjectNode, Position } from './syntax-tree.ts';

/** Plain values for zod, and where each of them stands in the file. */
export interface DecodedTree {
  readonly value: unknown;
  /** By {@link pathKey}. */
  readonly positions: ReadonlyMap<string, Position>;
  readonly repeated: readonly RepeatedValue[];
}

/** A key that may stand once and stands again. */
export interface RepeatedValue {
  readonly path: readonly PropertyKey[];
  readonly position: Position;
  readonly first: Position;
}

export function pathKey(path: readonly PropertyKey[]): string {
  return JSON.stringify(path.map(String));
}

/**
 * Turns a syntax tree into what a schema expects, with the liberties that HCL's decoder takes: keys in any case, numbers
 * and booleans in quotes, numbers for strings, a block for a list of one, repeated blocks for one object, labels for keys.
 * What does not fit is left as it is, for the schema to refuse.
 */
export function decodeTree(tree: ConfigNode, schema: z.core.$ZodType): DecodedTree {
  const decoder = new Decoder();
  const value = decoder.decode([tree], schema, []);
  return { value, positions: decoder.positions, repeated: decoder.repeated };
}

class Decoder {
  readonly positions = new Map<string, Position>();
  readonly repeated: RepeatedValue[] = [];

  /** @param nodes every value that one key is given, one at least */
  decode(nodes: readonly ConfigNode[], schema: z.core.$ZodType, path: readonly PropertyKey[]): unknown {
    const [first] = nodes;
    if (first === undefined) return undefined;
    if (!this.positions.has(pathKey(path))) this.positions.set(pathKey(path), first.position);
    const input = inputShapeOf(schema);
    switch (input.kind) {
      case 'object':
        return this.#decodeObject(nodes, path, (key) => {
          const known = Object.hasOwn(input.shape, key)
            ? key
            : Object.keys(input.shape).find((k) => k.toLowerCase() === key.toLowerCase());
          return { key: known ?? key, schema: known === undefined ? undefined : input.shape[known] };
        });
      case 'record':
        return this.#decodeObject(nodes, path, (key) => ({ key, schema: input.value }));
      case 'list':
        return this.#decodeList(nodes, input.element, path);
      case 'any':
        return nodes.length === 1 ? naturalValue(first) : nodes.map(naturalValue);
      default:
        this.#requireOne(nodes, path);
        return first.kind === 'literal' ? literalAs(first, input.kind) : naturalValue(first);
    }
  }

  #decodeObject(
    nodes: readonly ConfigNode[],
    path: readonly PropertyKey[],
    find: (key: string) => { readonly key: string; readonly schema: z.core.$ZodType | undefined },
  ): unknown {
    const objects = nodes.flatMap((node) => (node.kind === 'list' ? node.items : [node]));
    if (!objects.every((node) => node.kind === 'object')) return nodes.map(naturalValue)[0];
    const groups = new Map<string, { readonly schema: z.core.$ZodType | undefined; readonly nodes: ConfigNode[] }>();
    for (const item of objects.flatMap((object) => object.items)) {
      const { key, schema } = find(item.keys[0]);
      const group = groups.get(key) ?? { schema, nodes: [] };
      group.nodes.push(withoutFirstKey(item));
      groups.set(key, group);
      const at = pathKey([...path, key]);
      if (!this.positions.has(at)) this.positions.set(at, item.position);
    }
    return Object.fromEntries(
      Array.from(groups, ([key, { schema, nodes: values }]) => [
        key,
        schema ? this.decode(values, schema, [...path, key]) : values.map(naturalValue)[0],
      ]),
    );
  }

  #decodeList(nodes: readonly ConfigNode[], element: z.core.$ZodType, path: readonly PropertyKey[]): unknown {
    const holdsObjects = inputShapeOf(element).kind === 'object';
    if (!holdsObjects) this.#requireOne(nodes, path);
    const items: ConfigNode[] = [];
    for (const node of holdsObjects ? nodes : nodes.slice(0, 1)) {
      if (node.kind === 'list') items.push(...node.items);
      else if (node.kind === 'object' && holdsObjects) items.push(node);
      else return naturalValue(node);
    }
    return items.map((item, index) => this.decode([item], element, [...path, index]));
  }

  #requireOne([first, ...more]: readonly ConfigNode[], path: readonly PropertyKey[]): void {
    for (const { position } of more) if (first) this.repeated.push({ path, position, first: first.position });
  }
}

/** `a "b" { … }` seen from `a` is an object with the one key `b`. */
export function withoutFirstKey({ keys: [, ...rest], value, position }: ObjectItem): ConfigNode {
  const [next, ...others] = rest;
  if (next === undefined) return value;
  const inner: ObjectNode = { kind: 'object', items: [{ keys: [next, ...others], value, position }], position };
  return inner;
}

function literalAs({ text, type }: LiteralNode, wanted: 'string' | 'number' | 'boolean'): unknown {
  if (wanted === 'string' && type !== 'boolean') return text;
  if (wanted === 'number' && (type === 'number' || /^-?\d+$/.test(text))) return numberOf(text);
  if (wanted === 'boolean' && /^(true|1|t)$/i.test(text)) return true;
  if (wanted === 'boolean' && /^(false|0|f)$/i.test(text)) return false;
  return naturalLiteral(text, type);
}

function naturalLiteral(text: string, type: LiteralNode['type']): string | number | boolean {
  if (type === 'string') return text;
  return type === 'number' ? numberOf(text) : text === 'true';
}

/** As Go reads an integer of base 0: `0x1f`, `017`, `15`. */
function numberOf(text: string): number {
  const [, sign = '', digits = ''] = /^(-?)(.*)$/.exec(text) ?? [];
  const magnitude = /^0[0-7]+$/.test(digits) ? Number.parseInt(digits, 8) : Number(digits);
  return sign === '-' ? -magnitude : magnitude;
}

/** The value without a schema: labels become keys, a key that repeats becomes a list. */
export function naturalValue(node: ConfigNode): unknown {
  if (node.kind === 'literal') return naturalLiteral(node.text, node.type);
  if (node.kind === 'list') return node.items.map(naturalValue);
  const groups = Map.groupBy(node.items, (item) => item.keys[0]);
  return Object.fromEntries(
    Array.from(groups, ([key, items]) => {
      const values = items.map((item) => naturalValue(withoutFirstKey(item)));
      return [key, values.length === 1 ? values[0] : values];
    }),
  );
}
