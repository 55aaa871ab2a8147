import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { checkout } from './checkout.js';
import { fingerprint } from './fingerprint.js';
import { installPythonPackages } from './python-packages.js';
import { readStamp, removeStamp, writeStamp } from './stamps.js';

const requirements = join('tools', 'moto', 'requirements.txt');
const folder = join('tools', 'moto', 'packages');
const wanted = () => fingerprint({ paths: [requirements], words: [process.arch] });

/** Moto, which answers as AWS would; the tests alone need it. */
export const moto = {
  isDone: () => readStamp('moto') === wanted() && existsSync(join(checkout, folder, 'moto', 'server.py')),
  title: () => 'installs moto for the tests',
  async run() {
    removeStamp('moto');
    await installPythonPackages(requirements, folder);
    writeStamp('moto', wanted());
  },
};
