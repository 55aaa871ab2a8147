import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BEGIN, END, formatMatrix } from './format-matrix.ts';

const TARGET = join(import.meta.dirname, '..', '..', 'docs', 'interop.md');

const page = await readFile(TARGET, 'utf8');
const [before, rest = ''] = page.split(BEGIN);
const [, after] = rest.split(END);
if (before === undefined || after === undefined)
  throw new Error(`docs/interop.md has no place for the tables: ${BEGIN}`);
await writeFile(TARGET, `${before}${BEGIN}\n\n${formatMatrix()}\n\n${END}${after}`);
