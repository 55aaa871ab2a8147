/** Where a token starts in its file; both count from 1. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

/** A configuration file as HCL 1 and JSON have it in common. */
export type ConfigNode = LiteralNode | ListNode | ObjectNode;

export interface LiteralNode {
  readonly kind: 'literal';
  /** Unquoted and unescaped; a number is kept as it is written. */
  readonly text: string;
  readonly type: 'string' | 'number' | 'boolean';
  readonly position: Position;
}

export interface ListNode {
  readonly kind: 'list';
  readonly items: readonly ConfigNode[];
  readonly position: Position;
}

/** Keys may repeat: `DogStatsd { … } DogStatsd { … }` are two items. */
export interface ObjectNode {
  readonly kind: 'object';
  readonly items: readonly ObjectItem[];
  readonly position: Position;
}

export interface ObjectItem {
  /** More than one for a block with labels: `NodeAttestor "tpm" { … }` has two. */
  readonly keys: readonly [string, ...string[]];
  readonly value: ConfigNode;
  /** Of the first key. */
  readonly position: Position;
}

/** A file is refused before it is parsed when it is larger; real ones have a few kilobytes. */
export const MAX_CONFIG_BYTES = 1024 * 1024;
/** Blocks and lists inside one another; real files have about eight. */
export const MAX_CONFIG_DEPTH = 64;
