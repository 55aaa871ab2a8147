import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CHECKOUT } from '../process/checkout.ts';

/** Sections of docs/performance.md that a run writes anew. */
export type FiguresSection = 'figures' | 'scale' | 'agent' | 'tpm' | 'pkcs11';

const MARKS: Readonly<Record<FiguresSection, { readonly begin: string; readonly end: string }>> = {
  figures: {
    begin: '<!-- figures: written by npm run bench -- --write-docs -->',
    end: '<!-- end of figures -->',
  },
  scale: {
    begin: '<!-- scale: written by npm run bench -- scale --write-docs -->',
    end: '<!-- end of scale -->',
  },
  agent: {
    begin: '<!-- agent: written by npm run bench -- agent --write-docs -->',
    end: '<!-- end of agent -->',
  },
  tpm: {
    begin: '<!-- tpm: written by npm run bench -- tpm --write-docs -->',
    end: '<!-- end of tpm -->',
  },
  pkcs11: {
    begin: '<!-- pkcs11: written by npm run bench -- pkcs11 --write-docs -->',
    end: '<!-- end of pkcs11 -->',
  },
};
const docs = (name: string) => join(CHECKOUT, 'docs', name);

/** Replaces a marked section. @throws Error where the marks are not there. */
export function writeSection(section: FiguresSection, figures: string): void {
  const path = docs('performance.md');
  const { begin, end } = MARKS[section];
  const text = readFileSync(path, 'utf8');
  const from = text.indexOf(begin);
  const to = text.indexOf(end);
  if (from < 0 || to < from) throw new Error(`${path} has no section between "${begin}" and "${end}"`);
  writeFileSync(path, `${text.slice(0, from)}${begin}\n\n${figures}\n${text.slice(to)}`);
}

export function writePlot(svg: string): void {
  writeFileSync(docs('scale.svg'), svg);
}
