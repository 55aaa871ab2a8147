// Switches every numbered check of the TPM verifier off, one call at a time, and wants a test to go red each time.
// Arguments choose checks: npm run test:checks -- A4 C21
import { checkout } from './setup/checkout.js';
import { runInForeground } from './setup/run-in-foreground.js';
import { setUp } from './setup/set-up.js';
import { exitWithReason } from './setup/set-up-error.js';

process.chdir(checkout);
const runtime = await setUp({ forTests: true }).catch(exitWithReason);
await runInForeground(runtime, ['scripts/test-checks/run-checks.js', ...process.argv.slice(2)]);
