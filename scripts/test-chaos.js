// Sets up, then kills and cuts everything under load: npm run test:chaos -- [-minutes 10] [-seed N] [-workloads N]. Needs root and Go.
import { join } from 'node:path';
import { checkout } from './setup/checkout.js';
import { runInForeground } from './setup/run-in-foreground.js';
import { setUp } from './setup/set-up.js';
import { exitWithReason } from './setup/set-up-error.js';

process.chdir(checkout);
const runtime = await setUp({ forTests: true }).catch(exitWithReason);
await runInForeground(runtime, [join('test', 'chaos', 'main.ts'), ...process.argv.slice(2)]);
