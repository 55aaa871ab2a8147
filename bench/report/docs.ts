import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CHECKOUT } from '../process/checkout.ts';
import type { BenchResults } from '../results.ts';
import { formatResults } from './tables.ts';

const BEGIN = '<!-- figures: written by npm run bench -- --write-docs -->';
const END = '<!-- end of figures -->';

/** Replaces the marked section of docs/performance.md. @throws Error where the marks are not there. */
export function writeDocs(results: BenchResults): void {
  const path = join(CHECKOUT, 'docs', 'performance.md');
  const text = readFileSync(path, 'utf8');
  const begin = text.indexOf(BEGIN);
  const end = text.indexOf(END);
  if (begin < 0 || end < begin) throw new Error(`${path} has no section between "${BEGIN}" and "${END}"`);
  writeFileSync(path, `${text.slice(0, begin)}${BEGIN}\n\n${formatResults(results)}\n${text.slice(end)}`);
}
