import { execFileSync } from 'node:child_process';
import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { checkout } from '../setup/checkout.js';

/** The generator silences a linter that is not ours, in every file. */
const SILENCED = '/* eslint-disable */\n';

/**
 * Generates `src/gen` from `proto/`. Source: buf.yaml and buf.gen.yaml.
 *
 * @param {string} folder where `src/gen` is written
 */
export function generate(folder) {
  const machine = `buf-linux-${process.arch === 'arm64' ? 'aarch64' : 'x64'}`;
  const buf = join(checkout, 'node_modules', '@bufbuild', machine, 'bin', 'buf');
  execFileSync(buf, ['generate', '--output', folder], { cwd: checkout, stdio: 'inherit' });
  for (const path of globSync(join(folder, 'src', 'gen', '**', '*.ts'))) {
    writeFileSync(path, readFileSync(path, 'utf8').replace(SILENCED, ''));
  }
}
