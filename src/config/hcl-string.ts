import type { Scanner } from './scanner.ts';

const SIMPLE_ESCAPES: ReadonlyMap<string, string> = new Map([
  ['a', '\x07'],
  ['b', '\b'],
  ['f', '\f'],
  ['n', '\n'],
  ['r', '\r'],
  ['t', '\t'],
  ['v', '\v'],
  ['\\', '\\'],
  ['"', '"'],
]);
const NUMERIC_ESCAPE = /x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{3}/y;
const PLAIN = /[^"\\\n$]+/y;

/** Reads a quoted string, the scanner on its opening quote. What `${…}` encloses is kept as it is written. */
export function readQuotedString(scanner: Scanner): string {
  const start = scanner.position;
  scanner.take();
  const parts: string[] = [];
  for (;;) {
    const plain = scanner.match(PLAIN);
    if (plain !== undefined) parts.push(plain);
    const next = scanner.peek();
    if (next === '"') {
      scanner.take();
      return parts.join('');
    }
    if (next === '' || next === '\n') throw scanner.error('string has no closing quote', start);
    if (next === '\\') parts.push(readEscape(scanner));
    else if (scanner.startsWith('${')) parts.push(readInterpolation(scanner));
    else parts.push(scanner.take());
  }
}

function readEscape(scanner: Scanner): string {
  const start = scanner.position;
  scanner.take();
  const simple = SIMPLE_ESCAPES.get(scanner.peek());
  if (simple !== undefined) {
    scanner.take();
    return simple;
  }
  const numeric = scanner.match(NUMERIC_ESCAPE);
  if (numeric === undefined) {
    throw scanner.error(`string has the escape "\\" and ${scanner.describe()}: write "\\\\" for a backslash`, start);
  }
  const isOctal = /^[0-7]/.test(numeric);
  const code = isOctal ? Number.parseInt(numeric, 8) : Number.parseInt(numeric.slice(1), 16);
  if (code > 0x10ffff) throw scanner.error('string has an escape beyond the last character U+10FFFF', start);
  return String.fromCodePoint(code);
}

function readInterpolation(scanner: Scanner): string {
  const start = scanner.position;
  const from = scanner.offset;
  scanner.take(2);
  for (let depth = 1; depth > 0; ) {
    const next = scanner.take();
    if (next === '') throw scanner.error('"${" in a string has no closing brace', start);
    if (next === '{') depth++;
    if (next === '}') depth--;
  }
  return scanner.text.slice(from, scanner.offset);
}

const HEREDOC_START = /<<(-?)([\p{L}_][\p{L}\p{Nd}_.-]*)[ \t]*\r?\n/uy;

/**
 * Reads a heredoc, the scanner on `<<`. The value ends in a newline. With `<<-`, the indentation of the closing word is
 * removed where every line has it.
 */
export function readHeredoc(scanner: Scanner): string {
  const start = scanner.position;
  const opening = scanner.match(HEREDOC_START);
  if (opening === undefined) throw scanner.error('a heredoc starts with "<<WORD" alone at the end of a line', start);
  const isIndented = opening.startsWith('<<-');
  const word = opening.slice(isIndented ? 3 : 2).trim();
  const lines: string[] = [];
  for (;;) {
    const line = scanner.takeLine();
    if (line === undefined) throw scanner.error(`heredoc has no closing line "${word}"`, start);
    const content = line.endsWith('\r') ? line.slice(0, -1) : line;
    const indentation = content.slice(0, content.length - word.length);
    if (!content.endsWith(word) || indentation.trim() !== '') {
      lines.push(line);
      continue;
    }
    const removable = isIndented && lines.every((l) => l.startsWith(indentation)) ? indentation.length : 0;
    return lines.map((l) => `${l.slice(removable)}\n`).join('');
  }
}
