import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { naturalValue } from '../../src/config/decode.ts';
import { parseHcl } from '../../src/config/hcl.ts';
import { parseConfig } from '../../src/config/parse-config.ts';
import { printHcl } from '../../src/config/print.ts';
import { isSpiffeError } from '../../src/spiffe/error.ts';
import { readAgentConfigText, readServerConfigText } from './read-text.ts';

const seeds = ['server.conf', 'agent.conf'].map((name) =>
  readFileSync(join(import.meta.dirname, 'fixtures', name), 'utf8'),
);
seeds.push(JSON.stringify(naturalValue(parseHcl(seeds[0] ?? '', 'seed')), null, 1));
const ROUNDS = 2000;
const TOKENS = [
  '{',
  '}',
  '[',
  ']',
  '"',
  '=',
  ',',
  '\\',
  '$',
  '<<A\n',
  '<<-A\n',
  '/*',
  '*/',
  '#',
  '\n',
  '\0',
  '\ufeff',
  '${',
  '-',
  '0x',
  '__proto__ = 1\n',
  '9'.repeat(400),
  '\ud800',
  'é',
  'true',
  'null',
  ':',
];

/** mulberry32: the same mutations in every run. */
function randomOf(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

function mutate(text: string, random: (below: number) => number): string {
  const at = random(text.length + 1);
  const length = random(20);
  const from = random(text.length + 1);
  const inserted = [
    '',
    TOKENS[random(TOKENS.length)] ?? '',
    String.fromCharCode(random(0x180)),
    text.slice(from, from + random(200)),
  ][random(4)];
  return text.slice(0, at) + inserted + text.slice(random(2) === 0 ? at : at + length);
}

/** What a reader makes of the text, or its refusal; anything else is thrown on. */
function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (isSpiffeError(error, 'CONFIG_INVALID')) return undefined;
    throw error;
  }
}

test('a mutated file is read or refused with CONFIG_INVALID, and what is read can be printed', () => {
  const random = randomOf(1);
  let parsed = 0;
  for (let round = 0; round < ROUNDS; round++) {
    let text = seeds[round % seeds.length] ?? '';
    for (let mutations = random(4) + 1; mutations > 0; mutations--) text = mutate(text, random);
    const tree = attempt(() => parseConfig(text, 'fuzz'));
    if (tree === undefined) continue;
    parsed++;
    expect(naturalValue(parseHcl(printHcl(tree), 'printed'))).toEqual(naturalValue(tree));
    attempt(() => readServerConfigText(text));
    attempt(() => readAgentConfigText(text));
  }
  expect(parsed).toBeGreaterThan(ROUNDS / 20);
});
