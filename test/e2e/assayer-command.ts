import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..', '..');
const built = join(root, 'dist', 'assayer.js');

/** How the command line is run: as built where that is newer than every source, else from the sources. */
export function assayerCommand(): { readonly command: string; readonly args: readonly string[] } {
  const isBuilt = existsSync(built) && statSync(built).mtimeMs > newestIn(join(root, 'src'));
  if (isBuilt) return { command: join(root, 'bin', 'assayer'), args: [] };
  return { command: process.execPath, args: [join(root, 'src', 'cli', 'main.ts')] };
}

function newestIn(folder: string): number {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return Math.max(...files.map(({ parentPath, name }) => statSync(join(parentPath, name)).mtimeMs));
}
