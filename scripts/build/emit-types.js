import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { checkout } from '../setup/checkout.js';
import { libraries } from './libraries.js';

/**
 * Writes the declarations that whoever imports a library of the package compiles against. They are derived only: `npm run check` checks the types.
 *
 * @param {string} target
 */
export function emitTypes(target) {
  const entries = Object.values(libraries).map((entry) => join(checkout, entry));
  mkdirSync(target, { recursive: true });
  const project = join(target, 'tsconfig.json');
  const compilerOptions = {
    noEmit: false,
    noCheck: true,
    declaration: true,
    emitDeclarationOnly: true,
    rootDir: join(checkout, 'src'),
    outDir: target,
    typeRoots: [join(checkout, 'node_modules', '@types')],
  };
  writeFileSync(
    project,
    JSON.stringify({ extends: join(checkout, 'tsconfig.json'), compilerOptions, include: [], files: entries }),
  );
  execFileSync(process.execPath, [join(checkout, 'node_modules', 'typescript', 'bin', 'tsc'), '-p', project], {
    stdio: 'inherit',
  });
  rmSync(project);
}
