import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { checkout } from './checkout.js';
import { fingerprint } from './fingerprint.js';
import { runCommand } from './run-command.js';
import { findRuntime, runtimeIdentity } from './runtime.js';
import { readStamp, removeStamp, writeStamp } from './stamps.js';

function wanted() {
  return fingerprint({
    paths: ['src', 'scripts/build.js', 'scripts/build', 'package-lock.json', 'tsconfig.json'],
    words: [runtimeIdentity(findRuntime())],
  });
}

export const bundles = {
  isDone: () => existsSync(join(checkout, 'dist')) && readStamp('bundles') === wanted(),
  title: () => 'builds the programs',
  async run() {
    removeStamp('bundles');
    const sources = wanted();
    await runCommand(findRuntime().path, [join(checkout, 'scripts', 'build.js')], { cwd: checkout });
    writeStamp('bundles', sources);
  },
};
