import { describe, expect, test } from 'vitest';
import { naturalValue } from '../../src/config/decode.ts';
import { parseHcl } from '../../src/config/hcl.ts';
import { parseConfig } from '../../src/config/parse-config.ts';
import { printHcl } from '../../src/config/print.ts';
import type { ConfigNode } from '../../src/config/syntax-tree.ts';

const readHcl = (text: string) => naturalValue(parseHcl(text, 'x.conf'));

const INTERPOLATION = '{f("y", {})}';

const accepted: readonly [what: string, text: string, value: unknown][] = [
  ['nothing', '', {}],
  ['comments alone', '# a\n// b\n/* c\n d */', {}],
  ['a byte order mark', '\ufeffa = 1', { a: 1 }],
  ['carriage returns', 'a = 1\r\nb = 2\r\n', { a: 1, b: 2 }],
  ['comments after values', 'a = 1 # x\nb = 2 // y\nc /* z */ = 3', { a: 1, b: 2, c: 3 }],
  ['names with dots, dashes and digits', 'a.b-c_9 = 1', { 'a.b-c_9': 1 }],
  ['names in quotes', '"a b" = 1', { 'a b': 1 }],
  ['booleans', 'a = true\nb = false', { a: true, b: false }],
  [
    'numbers',
    'a = 0\nb = -12\nc = 1.5\nd = 0x1F\ne = 017\nf = 1e3\ng = -1.5E-2',
    { a: 0, b: -12, c: 1.5, d: 31, e: 15, f: 1000, g: -0.015 },
  ],
  ['a block', 'a { b = 1 }', { a: { b: 1 } }],
  ['an object with "="', 'a = { b = 1, c = 2 }', { a: { b: 1, c: 2 } }],
  ['labels', 'a "b" "c" { d = 1 }', { a: { b: { c: { d: 1 } } } }],
  ['repeated blocks', 'a { b = 1 }\na { b = 2 }', { a: [{ b: 1 }, { b: 2 }] }],
  ['lists', 'a = [1, "b", true, [2], { c = 3 }]\nd = []', { a: [1, 'b', true, [2], { c: 3 }], d: [] }],
  ['a comma at the end of a list', 'a = [\n  1,\n  2,\n]', { a: [1, 2] }],
  ['a comment in a list', 'a = [1, # one\n 2]', { a: [1, 2] }],
  ['escapes', '"a" = "\\n\\t\\r\\\\\\"\\a\\b\\f\\v"', { a: '\n\t\r\\"\x07\b\f\v' }],
  ['escapes by number', '"a" = "\\x41\\u00e9\\U0001F511\\101"', { a: 'Aé🔑A' }],
  ['characters beyond ASCII', 'a = "münchen 🔑"', { a: 'münchen 🔑' }],
  ['a dollar sign', 'a = "$x $$ $"', { a: '$x $$ $' }],
  ['interpolation, which is left as it is', `a = "x $${INTERPOLATION} z"`, { a: `x $${INTERPOLATION} z` }],
  ['a heredoc', 'a = <<EOF\none\n  two\nEOF\nb = 1', { a: 'one\n  two\n', b: 1 }],
  ['a heredoc without lines', 'a = <<EOF\nEOF\n', { a: '' }],
  ['a heredoc whose end is indented', 'a = <<EOF\none\n  EOF\n', { a: 'one\n' }],
  ['an indented heredoc', 'a = <<-EOF\n    one\n      two\n    EOF\n', { a: 'one\n  two\n' }],
  ['an indented heredoc with a line that is not', 'a = <<-EOF\n    one\n  two\n    EOF\n', { a: '    one\n  two\n' }],
  ['a heredoc that names its word in a line', 'a = <<EOF\nEOF2\nx EOF\nEOF\n', { a: 'EOF2\nx EOF\n' }],
  ['a heredoc in a list', 'a = [<<EOF\none\nEOF\n, "b"]', { a: ['one\n', 'b'] }],
];
test.each(accepted)('reads %s', (_what, text, value) => {
  expect(readHcl(text)).toEqual(value);
});

const rejected: readonly [what: string, text: string, message: RegExp][] = [
  ['a name alone', 'a', /^x\.conf:1:1: "a" has no value/],
  ['no value', 'a =', /1:4: expected a value, found the end of the file/],
  ['a bare word', 'a = b', /1:5: the value b is a bare word: write "b" with quotes/],
  ['"=" after labels', 'a "b" = 1', /1:7: a block with labels/],
  ['a block that does not end', 'x = 1\na {\nb = 1', /2:3: "\{" has no closing brace/],
  ['a brace too many', 'a {\n}\n}', /3:1: expected a name, "=" or "\{", found "\}"/],
  ['a list that does not end', 'a = [1, 2', /1:5: "\[" has no closing bracket/],
  ['a list without commas', 'a = [1 2]', /1:8: expected "," or "\]", found "2"/],
  ['a list with two commas', 'a = [1,,2]', /1:8: expected a value, found ","/],
  ['a string that does not end', 'a = "b', /1:5: string has no closing quote/],
  ['a string over two lines', 'a = "b\nc"', /1:5: string has no closing quote/],
  ['an unknown escape', 'a = "b\\q"', /1:7: string has the escape/],
  ['an escape without digits', 'a = "\\x4"', /1:6: string has the escape/],
  ['an escape beyond Unicode', 'a = "\\U00110000"', /beyond the last character/],
  ['an interpolation that does not end', 'a = "${b"', /"\$\{" in a string/],
  ['a comment that does not end', '/* a', /1:1: comment/],
  ['a heredoc that does not end', 'a = <<EOF\nb\n', /1:5: heredoc has no closing line "EOF"/],
  ['a heredoc without word', 'a = <<\nb', /1:5: a heredoc starts with/],
  ['a colon', 'a: 1', /1:2: expected a name, "=" or "\{", found ":"/],
  ['a NUL', 'a = \0', /1:5: expected a value/],
];
test.each(rejected)('refuses %s', (_what, text, message) => {
  expect(() => readHcl(text)).toThrow(
    expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.stringMatching(message) }),
  );
});

test.each([
  ['objects', 'a {'.repeat(100)],
  ['lists', `a = ${'['.repeat(100)}`],
  ['JSON lists', `{"a": ${'['.repeat(100)}`],
])('refuses %s that are nested too deeply', (_what, text) => {
  expect(() => parseConfig(text, 'x')).toThrow(
    expect.objectContaining({ message: expect.stringMatching(/nested deeper/) }),
  );
});

test('refuses a file of more than 1 MiB', () => {
  expect(() => parseConfig(' '.repeat(1024 * 1024 + 1), 'x')).toThrow(
    expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.stringMatching(/1048576 at most/) }),
  );
});

describe('JSON', () => {
  test('gives the tree of the same HCL', () => {
    const json = '\n{"a": {"b": [1, -2.5e3, "c\\u00e9\\n", true, null]}, "d": null, "a": {}}';
    expect(naturalValue(parseConfig(json, 'x'))).toEqual({ a: [{ b: [1, -2500, 'cé\n', true] }, {}] });
  });

  test.each([
    ['{', /1:1: has no closing "\}"/],
    ['{"a" 1}', /1:2: expected ":"/],
    ['{"a": }', /1:7: expected a value, found "\}"/],
    ['{"a": 1,}', /1:9: expected a key/],
    ['{"a": [1 2]}', /1:10: expected "," or "\]"/],
    ['{a: 1}', /1:2: expected a key in quotes/],
    ['{"a": "\\q"}', /1:7: string has an escape/],
    ['{"a": "b}', /1:7: string has no closing quote/],
    ['{"a": 1} x', /1:10: expected the end of the file/],
    ['{"a": tru}', /1:7: expected a value, found "t"/],
  ])('refuses %s', (text, message) => {
    expect(() => parseConfig(text, 'x')).toThrow(
      expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.stringMatching(message) }),
    );
  });
});

/** The tree without positions, which printing changes. */
const shapeOf = (node: ConfigNode): unknown => {
  if (node.kind === 'literal') return [node.type, node.text];
  if (node.kind === 'list') return node.items.map(shapeOf);
  return { items: node.items.map(({ keys, value }) => [keys, shapeOf(value)]) };
};

describe('printing', () => {
  test.each(accepted)('%s: parsing what is printed gives the same tree', (_what, text) => {
    const tree = parseHcl(text, 'x');
    expect(shapeOf(parseHcl(printHcl(tree), 'printed'))).toEqual(shapeOf(tree));
  });

  test('has one item a line', () => {
    const tree = parseHcl('a = 0x1F\nb "c" { d = ["e", { f = true }] }\ng {}', 'x');
    expect(printHcl(tree)).toBe('a = 0x1F\nb "c" {\n  d = ["e", {\n    f = true\n  }]\n}\ng {}\n');
  });

  test('JSON becomes HCL', () => {
    const tree = parseConfig('{"a b": "$' + '{x", "c": {"d": "\\u0001\\n"}}', 'x');
    expect(shapeOf(parseHcl(printHcl(tree), 'printed'))).toEqual(shapeOf(tree));
  });
});
