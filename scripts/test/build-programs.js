import { bundles } from '../setup/bundles.js';
import { runMissing } from '../setup/missing-steps.js';

/** Before all tests: the programs in dist/, which tests run, are of today's sources. */
export async function setup() {
  await runMissing([bundles], (step) => step.run());
}
