// Sets up, then measures this machine: npm run bench -- --help
import { join } from 'node:path';
import { checkout } from './setup/checkout.js';
import { runInForeground } from './setup/run-in-foreground.js';
import { setUp } from './setup/set-up.js';
import { exitWithReason } from './setup/set-up-error.js';

const runtime = await setUp().catch(exitWithReason);
await runInForeground(runtime, [join(checkout, 'bench', 'main.ts'), ...process.argv.slice(2)]);
