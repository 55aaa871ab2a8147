// Sets up, runs the tests, and prints as the very last line "N passed, N failed". Arguments go to vitest: npm test -- test/x509
import { runTests } from './test/run-tests.js';

await runTests({ setUpOptions: { forTests: true }, args: process.argv.slice(2) });
