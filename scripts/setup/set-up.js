import { addons } from './addons.js';
import { bundles } from './bundles.js';
import { envoys } from './envoys.js';
import { kubernetesMachine, kubernetesSteps } from './kubernetes.js';
import { machineSteps } from './machine.js';
import { minioStep } from './minio.js';
import { runMissing } from './missing-steps.js';
import { moto } from './moto.js';
import { npmPackages } from './npm-packages.js';
import { showProgress } from './progress.js';
import { findRuntime, runtimeStep } from './runtime.js';
import { systemPackages } from './system-packages.js';

/** In the order in which each needs the ones before. */
const STEPS = [systemPackages, runtimeStep, npmPackages, addons, bundles];
/** Other programs that the tests talk to. */
const TEST_STEPS = [envoys, moto];

/**
 * Brings the checkout to where its programs run: does what is missing or out of date, and nothing else. Any number may run at once.
 *
 * @param {{ forTests?: boolean, forKubernetes?: boolean, forMachine?: boolean, forMinio?: boolean }} [options] what else to bring than the programs need
 * @returns {Promise<import('./runtime.js').Runtime>} the Node to run them with
 * @throws SetUpError with what to do
 */
export async function setUp({ forTests = false, forKubernetes = false, forMachine = false, forMinio = false } = {}) {
  const steps = [
    ...(forKubernetes ? [kubernetesMachine] : []),
    ...STEPS,
    ...(forTests ? TEST_STEPS : []),
    ...(forKubernetes ? kubernetesSteps : []),
    ...(forMachine ? machineSteps : []),
    ...(forMinio ? [minioStep] : []),
  ];
  await runMissing(steps, (step) => showProgress(step.title(), () => step.run()));
  return findRuntime();
}
