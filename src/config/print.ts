import type { ConfigNode, ObjectItem, ObjectNode } from './syntax-tree.ts';

const IDENTIFIER = /^[\p{L}_][\p{L}\p{Nd}_.-]*$/u;
const INDENT = '  ';

/** The items of an object as HCL text, one a line, without braces around them; parsing it gives the same tree. */
export function printHcl(node: ObjectNode): string {
  return node.items.map((item) => `${printItem(item, '')}\n`).join('');
}

function printItem({ keys, value }: ObjectItem, indent: string): string {
  const [first, ...labels] = keys;
  const name = [printKey(first), ...labels.map(printText)].join(' ');
  return value.kind === 'object'
    ? `${indent}${name} ${printValue(value, indent)}`
    : `${indent}${name} = ${printValue(value, indent)}`;
}

function printValue(node: ConfigNode, indent: string): string {
  switch (node.kind) {
    case 'literal':
      return node.type === 'string' ? printText(node.text) : node.text;
    case 'list':
      return `[${node.items.map((item) => printValue(item, indent)).join(', ')}]`;
    case 'object': {
      if (node.items.length === 0) return '{}';
      const inner = node.items.map((item) => `${printItem(item, indent + INDENT)}\n`).join('');
      return `{\n${inner}${indent}}`;
    }
  }
}

function printKey(key: string): string {
  return IDENTIFIER.test(key) ? key : printText(key);
}

/** A string of HCL: escapes what would end it, and `${`, which would start an interpolation. */
export function printText(text: string): string {
  let quoted = '';
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0;
    if (character === '"' || character === '\\') quoted += `\\${character}`;
    else if (character === '\n') quoted += '\\n';
    else if (code < 0x20 || code === 0x7f) quoted += `\\u${code.toString(16).padStart(4, '0')}`;
    else quoted += character;
  }
  return `"${quoted.replaceAll('${', '\\u0024{')}"`;
}
