// Sets up, runs the conformance kit on the plugins of this checkout, and writes docs/conformance.md.
import { join } from 'node:path';
import { checkout } from './setup/checkout.js';
import { runInForeground } from './setup/run-in-foreground.js';
import { setUp } from './setup/set-up.js';
import { exitWithReason } from './setup/set-up-error.js';

process.chdir(checkout);
const runtime = await setUp().catch(exitWithReason);
await runInForeground(runtime, [join(checkout, 'scripts', 'conformance', 'main.ts')]);
