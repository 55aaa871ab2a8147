import { Scanner } from './scanner.ts';
import { type ConfigNode, MAX_CONFIG_DEPTH, type ObjectItem, type ObjectNode } from './syntax-tree.ts';

const BLANK = /[ \t\r\n]+/y;
const STRING = /"(?:[^"\\\n\r]|\\.)*"/y;
const NUMBER = /-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?/y;
const WORD = /[a-z]+/y;

/**
 * Parses JSON into the tree of HCL: an object's key is an item's key, a list of objects stands for repeated blocks.
 *
 * @param source the name of the file for messages
 * @throws SpiffeError `CONFIG_INVALID` with file, line and column of the first thing that is not JSON
 */
export function parseJson(text: string, source: string): ObjectNode {
  const scanner = new Scanner(text, source);
  skipBlanks(scanner);
  const root = readValue(scanner, 0);
  skipBlanks(scanner);
  if (!scanner.atEnd) throw scanner.error(`expected the end of the file, found ${scanner.describe()}`);
  if (root?.kind !== 'object') throw scanner.error('a JSON configuration is one object');
  return root;
}

/** @returns undefined for `null`, which HCL does not have: as if it were not there. */
function readValue(scanner: Scanner, depth: number): ConfigNode | undefined {
  const position = scanner.position;
  if (depth > MAX_CONFIG_DEPTH)
    throw scanner.error(`objects and lists are nested deeper than ${MAX_CONFIG_DEPTH} levels`);
  const next = scanner.peek();
  if (next === '{') return { kind: 'object', items: readMembers(scanner, depth), position };
  if (next === '[') return { kind: 'list', items: readElements(scanner, depth), position };
  if (next === '"') return { kind: 'literal', type: 'string', text: readString(scanner), position };
  const number = scanner.match(NUMBER);
  if (number !== undefined) return { kind: 'literal', type: 'number', text: number, position };
  const found = scanner.describe();
  const word = scanner.match(WORD);
  if (word === 'null') return undefined;
  if (word === 'true' || word === 'false') return { kind: 'literal', type: 'boolean', text: word, position };
  throw scanner.error(`expected a value, found ${found}`, position);
}

function readMembers(scanner: Scanner, depth: number): ObjectItem[] {
  const items: ObjectItem[] = [];
  readSeparated(scanner, '}', () => {
    const position = scanner.position;
    if (scanner.peek() !== '"') throw scanner.error(`expected a key in quotes, found ${scanner.describe()}`);
    const key = readString(scanner);
    skipBlanks(scanner);
    if (scanner.take() !== ':') throw scanner.error(`expected ":" after the key ${JSON.stringify(key)}`, position);
    skipBlanks(scanner);
    const value = readValue(scanner, depth + 1);
    if (value) items.push({ keys: [key], value, position });
  });
  return items;
}

function readElements(scanner: Scanner, depth: number): ConfigNode[] {
  const items: ConfigNode[] = [];
  readSeparated(scanner, ']', () => {
    const value = readValue(scanner, depth + 1);
    if (value) items.push(value);
  });
  return items;
}

function readSeparated(scanner: Scanner, close: string, readOne: () => void): void {
  const opened = scanner.position;
  scanner.take();
  skipBlanks(scanner);
  if (scanner.peek() === close) {
    scanner.take();
    return;
  }
  for (;;) {
    if (!scanner.atEnd) readOne();
    skipBlanks(scanner);
    if (scanner.atEnd) throw scanner.error(`has no closing "${close}"`, opened);
    const found = scanner.describe();
    const position = scanner.position;
    const separator = scanner.take();
    if (separator === close) return;
    if (separator !== ',') throw scanner.error(`expected "," or "${close}", found ${found}`, position);
    skipBlanks(scanner);
  }
}

function readString(scanner: Scanner): string {
  const position = scanner.position;
  const quoted = scanner.match(STRING);
  if (quoted === undefined) throw scanner.error('string has no closing quote', position);
  try {
    const text: unknown = JSON.parse(quoted);
    return String(text);
  } catch (cause) {
    throw Object.assign(scanner.error('string has an escape or a character that JSON does not know', position), {
      cause,
    });
  }
}

function skipBlanks(scanner: Scanner): void {
  scanner.match(BLANK);
}
