import { readHeredoc, readQuotedString } from './hcl-string.ts';
import { Scanner } from './scanner.ts';
import {
  type ConfigNode,
  type ListNode,
  MAX_CONFIG_DEPTH,
  type ObjectItem,
  type ObjectNode,
  type Position,
} from './syntax-tree.ts';

const BLANK = /[ \t\r\n]+/y;
const LINE_COMMENT = /(#|\/\/)[^\n]*/y;
const IDENTIFIER = /[\p{L}_][\p{L}\p{Nd}_.-]*/uy;
const NUMBER = /-?(0x[0-9a-f]+|(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?)/iy;

/**
 * Parses HCL, version 1, the language of SPIRE's configuration files.
 *
 * @param source the name of the file for messages
 * @throws SpiffeError `CONFIG_INVALID` with file, line and column of the first thing that is not HCL
 * @see https://github.com/hashicorp/hcl/blob/hcl1/README.md
 */
export function parseHcl(text: string, source: string): ObjectNode {
  const scanner = new Scanner(text, source);
  const position = scanner.position;
  const items = readItems(scanner, undefined, 0);
  return { kind: 'object', items, position };
}

/** Items up to the end of the file, or up to the brace that closes the object opened at `opened`. */
function readItems(scanner: Scanner, opened: Position | undefined, depth: number): ObjectItem[] {
  const items: ObjectItem[] = [];
  for (;;) {
    skipBlanks(scanner);
    if (scanner.atEnd) {
      if (opened) throw scanner.error('"{" has no closing brace', opened);
      return items;
    }
    if (opened && scanner.peek() === '}') {
      scanner.take();
      return items;
    }
    items.push(readItem(scanner, depth));
    skipBlanks(scanner);
    if (opened && scanner.peek() === ',') scanner.take();
  }
}

function readItem(scanner: Scanner, depth: number): ObjectItem {
  const position = scanner.position;
  const keys: [string, ...string[]] = [readKey(scanner)];
  for (;;) {
    skipBlanks(scanner);
    if (scanner.peek() === '=') {
      if (keys.length > 1) throw scanner.error('a block with labels is followed by "{", without "="');
      scanner.take();
      skipBlanks(scanner);
      return { keys, value: readValue(scanner, depth + 1), position };
    }
    if (scanner.peek() === '{') return { keys, value: readObject(scanner, depth + 1), position };
    if (scanner.atEnd)
      throw scanner.error(`"${keys.join(' ')}" has no value: write "=" and a value, or a block`, position);
    keys.push(readKey(scanner));
  }
}

function readKey(scanner: Scanner): string {
  if (scanner.peek() === '"') return readQuotedString(scanner);
  const identifier = scanner.match(IDENTIFIER);
  if (identifier === undefined) throw scanner.error(`expected a name, "=" or "{", found ${scanner.describe()}`);
  return identifier;
}

function readValue(scanner: Scanner, depth: number): ConfigNode {
  const position = scanner.position;
  const next = scanner.peek();
  if (next === '{') return readObject(scanner, depth);
  if (next === '[') return readList(scanner, depth);
  if (next === '"') return { kind: 'literal', type: 'string', text: readQuotedString(scanner), position };
  if (next === '<') return { kind: 'literal', type: 'string', text: readHeredoc(scanner), position };
  const number = scanner.match(NUMBER);
  if (number !== undefined) return { kind: 'literal', type: 'number', text: number, position };
  const word = scanner.match(IDENTIFIER);
  if (word === 'true' || word === 'false') return { kind: 'literal', type: 'boolean', text: word, position };
  if (word !== undefined)
    throw scanner.error(`the value ${word} is a bare word: write "${word}" with quotes`, position);
  throw scanner.error(`expected a value, found ${scanner.describe()}`);
}

function readObject(scanner: Scanner, depth: number): ObjectNode {
  const position = scanner.position;
  requireDepth(scanner, depth);
  scanner.take();
  return { kind: 'object', items: readItems(scanner, position, depth), position };
}

function readList(scanner: Scanner, depth: number): ListNode {
  const position = scanner.position;
  requireDepth(scanner, depth);
  scanner.take();
  const items: ConfigNode[] = [];
  for (;;) {
    skipBlanks(scanner);
    if (scanner.atEnd) throw scanner.error('"[" has no closing bracket', position);
    if (scanner.peek() === ']') break;
    items.push(readValue(scanner, depth + 1));
    skipBlanks(scanner);
    if (scanner.peek() === ',') scanner.take();
    else if (!scanner.atEnd && scanner.peek() !== ']')
      throw scanner.error(`expected "," or "]", found ${scanner.describe()}`);
  }
  scanner.take();
  return { kind: 'list', items, position };
}

function skipBlanks(scanner: Scanner): void {
  while (scanner.match(BLANK) ?? scanner.match(LINE_COMMENT) ?? skipBlockComment(scanner)) {
    // each match moves on
  }
}

function skipBlockComment(scanner: Scanner): string | undefined {
  if (!scanner.startsWith('/*')) return undefined;
  const end = scanner.text.indexOf('*/', scanner.offset + 2);
  if (end === -1) throw scanner.error('comment "/*" has no closing "*/"');
  return scanner.take(end + 2 - scanner.offset);
}

function requireDepth(scanner: Scanner, depth: number): void {
  if (depth > MAX_CONFIG_DEPTH)
    throw scanner.error(`blocks and lists are nested deeper than ${MAX_CONFIG_DEPTH} levels`);
}
