import { withLock } from './lock.js';

/** @typedef {{ isDone(): boolean, title(): string, run(): Promise<void> }} Step */

/**
 * Does those steps that are not done, in their order, while no other set-up of this checkout runs.
 *
 * @param {readonly Step[]} steps
 * @param {(step: Step) => Promise<void>} runStep has the step run, and may show so
 */
export async function runMissing(steps, runStep) {
  if (steps.every((step) => step.isDone())) return;
  await withLock(async () => {
    for (const step of steps) {
      if (!step.isDone()) await runStep(step); // another set-up may have done it meanwhile
    }
  });
}
