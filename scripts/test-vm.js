// Sets up, with what a virtual machine needs besides, and boots some that attest. Arguments go to vitest.
import { kernelFolder } from './setup/machine.js';
import { runTests } from './test/run-tests.js';

await runTests({
  setUpOptions: { forMachine: true },
  variables: () => ({ ASSAYER_TEST_MACHINE: kernelFolder() }),
  args: process.argv.slice(2),
});
