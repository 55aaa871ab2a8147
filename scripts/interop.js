// Writes into docs/interop.md which half of which plugin was tried with whose other half.
import { join } from 'node:path';
import { checkout } from './setup/checkout.js';
import { runInForeground } from './setup/run-in-foreground.js';
import { setUp } from './setup/set-up.js';
import { exitWithReason } from './setup/set-up-error.js';

const runtime = await setUp().catch(exitWithReason);
await runInForeground(runtime, [join(checkout, 'scripts', 'interop', 'main.ts')]);
