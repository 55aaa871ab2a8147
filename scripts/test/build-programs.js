import { bundles } from '../setup/bundles.js';
import { withLock } from '../setup/lock.js';

/** Before all tests: the programs in dist/, which tests run, are of today's sources. */
export async function setup() {
  if (bundles.isDone()) return;
  await withLock(async () => {
    if (!bundles.isDone()) await bundles.run();
  });
}
