// Builds dist/ whole, then puts it in place file by file: a program that runs, or starts meanwhile, never misses one.
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { bundlePrograms } from './build/bundle-programs.js';
import { fillCompileCache } from './build/compile-cache.js';
import { emitTypes } from './build/emit-types.js';
import { publishFolder } from './build/publish-folder.js';
import { checkout } from './setup/checkout.js';
import { stampFolder } from './setup/stamps.js';

mkdirSync(stampFolder, { recursive: true });
const work = mkdtempSync(join(stampFolder, 'dist-'));
try {
  await bundlePrograms(work);
  emitTypes(join(work, 'types'));
  publishFolder(work, join(checkout, 'dist'));
} finally {
  rmSync(work, { recursive: true, force: true });
}
await fillCompileCache(join(checkout, 'dist'));
