import { describe, expect, test } from 'vitest';
import { parseEntries } from '../../../src/cli/apply/parse-entries.ts';

const ids = (text: string) => parseEntries(text, 'f.yaml').map(({ entry }) => entry.spiffeId?.path);
const ENTRY = 'spiffe_id: spiffe://example.org/a\nparent_id: spiffe://example.org/p\nselectors: ["unix:uid:0"]\n';

describe('entries in files', () => {
  test.each([
    [
      'a list below "entries"',
      `entries:\n  - spiffe_id: spiffe://example.org/a\n    parent_id: spiffe://example.org/p\n`,
      ['/a'],
    ],
    ['a list', `- {spiffe_id: spiffe://example.org/a, parent_id: spiffe://example.org/p}\n`, ['/a']],
    ['one entry', ENTRY, ['/a']],
    ['documents', `${ENTRY}---\n${ENTRY.replace('/a', '/b')}`, ['/a', '/b']],
    [
      'what SPIRE takes for -data',
      JSON.stringify({
        entries: [
          {
            spiffe_id: 'spiffe://example.org/a',
            parent_id: 'spiffe://example.org/p',
            selectors: [{ type: 'unix', value: 'uid:0' }],
          },
        ],
      }),
      ['/a'],
    ],
    [
      'JSON with tabs',
      '{\n\t"entries": [\n\t\t{\n\t\t\t"spiffe_id": "spiffe://example.org/a",\n\t\t\t"parent_id": "spiffe://example.org/p"\n\t\t}\n\t]\n}\n',
      ['/a'],
    ],
    ['nothing', '', []],
    ['nothing but a comment', '# none\n', []],
    [
      'an anchor that is used twice',
      `- &p {spiffe_id: spiffe://example.org/a, parent_id: spiffe://example.org/p}\n- *p\n`,
      ['/a', '/a'],
    ],
  ])('are %s', (_what, text, expected) => {
    expect(ids(text)).toEqual(expected);
  });

  test('have their file, line and name', () => {
    const [, second] = parseEntries(`${ENTRY}---\n# comment\n${ENTRY.replace('/a', '/b')}`, 'x/f.yaml');
    expect(second?.where).toBe('x/f.yaml:6: entry 2 (spiffe://example.org/b)');
  });

  test.each([
    ['no YAML', 'a: [1', /^f\.yaml:1: /],
    ['a key twice', `${ENTRY}spiffe_id: x\n`, /^f\.yaml:4: Map keys must be unique/],
    ['a text', 'hello', /^f\.yaml:1: neither an entry nor a list of entries/],
    ['an entry that is a number', '- 1\n', /^f\.yaml:1: entry 1 is no JSON object/],
    [
      'a key that is not known',
      `${ENTRY}dns_name: [x]\n`,
      /^f\.yaml:1: entry 1 \(spiffe:\/\/example\.org\/a\): the key "dns_name" is not known, did you mean "dns_names"\?/,
    ],
    ['a number for a text', ENTRY.replace('spiffe://example.org/a', '7'), /entry 1: "spiffe_id" must be a text/],
    ['a selector without a value', ENTRY.replace('unix:uid:0', 'unix'), /selectors\[0\]: /],
    ['an alias that is not there', '- *nothing\n', /^f\.yaml:1: /],
    ['a tag that makes an object', '- !!js/function "x"\n', /^f\.yaml:1: /],
  ])('are refused: %s', (_what, text, message) => {
    expect(() => ids(text)).toThrow(expect.objectContaining({ message: expect.stringMatching(message) }));
  });

  test('every mistake is told at once', () => {
    const bad = ENTRY.replace('unix:uid:0', 'unix');
    expect(() => ids(`${bad}---\n${ENTRY}---\n${bad}`)).toThrow(/^f\.yaml:1: .*\nf\.yaml:9: /);
  });

  test.each([
    [
      'aliases that multiply',
      `a: &a [x,x,x,x,x,x,x,x,x]\n${[...'bcdefghi'].map((name, n) => `${name}: &${name} [${`*${'abcdefghi'[n]},`.repeat(9)}]\n`).join('')}entries: *i\n`,
    ],
    ['brackets without end', '['.repeat(100_000)],
    ['maps within each other', Array.from({ length: 2000 }, (_, n) => `${' '.repeat(n)}a:`).join('\n')],
    ['lists within each other', `${'- '.repeat(20_000)}x`],
    [
      'a merge key that would take all',
      `base: &b ${JSON.stringify(Object.fromEntries(Array.from({ length: 1000 }, (_, n) => [`k${n}`, n])))}\nentries:\n${'  - {<<: *b}\n'.repeat(500)}`,
    ],
  ])('neither time nor memory goes into %s', (_what, text) => {
    const startedAt = performance.now();
    expect(() => ids(text)).toThrow(expect.objectContaining({ name: 'SpiffeError' }));
    expect(performance.now() - startedAt).toBeLessThan(20_000);
  });
});
