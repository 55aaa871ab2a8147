import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { BEGIN, END, formatMatrix } from '../../scripts/interop/format-matrix.ts';
import { ATTESTORS, STORES } from './tried-halves.ts';

const root = join(import.meta.dirname, '..', '..');
const page = readFileSync(join(root, 'docs', 'interop.md'), 'utf8');
const proofs = [
  ...ATTESTORS.flatMap(({ bothOurs, spireAgent, spireServer, badInputs }) => [
    ...[...bothOurs, ...spireAgent, ...spireServer, ...badInputs],
  ]),
  ...STORES.flatMap(({ wholePrograms, spireHost, badInputs }) => [...wholePrograms, ...spireHost, ...badInputs]),
];

test('the page has the tables as they are written by “npm run interop”', () => {
  expect(page).toContain(`${BEGIN}\n\n${formatMatrix()}\n\n${END}`);
});

test('what is said to be tried is a test that there is', () => {
  const paths = proofs.flatMap((proof) => ('path' in proof ? [proof.path] : []));
  expect(paths.length).toBeGreaterThan(30);
  expect(paths.filter((path) => !hasTests(path))).toEqual([]);
});

test('what a test replays of SPIRE has a source', () => {
  const recorded = proofs.flatMap((proof) => (proof.by === 'test' && proof.what === 'recorded' ? [proof.path] : []));
  for (const path of new Set(recorded)) {
    const [folder = ''] = /vectors[/'", ]+([\w-]+)/.exec(readFileSync(join(root, path), 'utf8'))?.slice(1) ?? [];
    expect(existsSync(join(root, 'test', 'vectors', folder, 'SOURCE')), `${path}: test/vectors/${folder}`).toBe(true);
  }
});

test('every node attestor that comes with the programs is in the table', () => {
  const source = readFileSync(join(root, 'src', 'cli', 'builtin-plugins.ts'), 'utf8');
  const builtIn = [...source.matchAll(/'server NodeAttestor (\w+)'/g)].map(([, name]) => name);
  const partOfTheProgram = ['join_token', 'composite'];
  expect(ATTESTORS.map(({ name }) => name).toSorted()).toEqual([...builtIn, ...partOfTheProgram].toSorted());
});

function hasTests(path: string): boolean {
  const full = join(root, path);
  if (!existsSync(full)) return false;
  return path.endsWith('.test.ts') || readdirSync(full).some((name) => name.endsWith('.test.ts'));
}
