// Sets up, with what a cluster of Kubernetes needs besides, and attests real pods. Arguments go to vitest.
import { join } from 'node:path';
import { checkout } from './setup/checkout.js';
import { kubernetesFolder } from './setup/kubernetes.js';
import { runInForeground } from './setup/run-in-foreground.js';
import { setUp } from './setup/set-up.js';
import { exitWithReason } from './setup/set-up-error.js';

process.chdir(checkout);
const runtime = await setUp({ forKubernetes: true }).catch(exitWithReason);
const vitest = join('node_modules', 'vitest', 'vitest.mjs');
process.env.ASSAYER_TEST_KUBERNETES = kubernetesFolder();
await runInForeground(runtime, [vitest, 'run', ...process.argv.slice(2)]);
