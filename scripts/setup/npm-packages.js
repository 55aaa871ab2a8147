import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { checkout } from './checkout.js';
import { fingerprint } from './fingerprint.js';
import { npmCi } from './npm-ci.js';
import { readStamp, removeStamp, writeStamp } from './stamps.js';

/** npm writes it last, so a tree without it is half installed. */
const installedTree = 'node_modules/.package-lock.json';

// The second part notices an `npm install` by hand.
const wanted = () =>
  fingerprint({ paths: ['package-lock.json', installedTree], words: [process.platform, process.arch] });

export const npmPackages = {
  isDone: () => existsSync(join(checkout, installedTree)) && readStamp('npm-packages') === wanted(),
  title: () => 'installs the npm packages',
  async run() {
    removeStamp('npm-packages');
    await npmCi(checkout);
    writeStamp('npm-packages', wanted());
  },
};
