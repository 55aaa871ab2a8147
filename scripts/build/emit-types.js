import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { checkout } from '../setup/checkout.js';

/**
 * Writes the declarations that whoever imports the plugin SDK compiles against. They are derived only: `npm run check` checks the types.
 *
 * @param {string} target
 */
export function emitTypes(target) {
  const entry = join(checkout, 'src', 'plugin-sdk', 'index.ts');
  if (!existsSync(entry)) return;
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
    JSON.stringify({ extends: join(checkout, 'tsconfig.json'), compilerOptions, include: [], files: [entry] }),
  );
  execFileSync(process.execPath, [join(checkout, 'node_modules', 'typescript', 'bin', 'tsc'), '-p', project], {
    stdio: 'inherit',
  });
  rmSync(project);
}
