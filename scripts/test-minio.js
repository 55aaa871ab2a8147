// Sets up, with a MinIO, and has it believe JWT-SVIDs. Arguments go to vitest.
import { join } from 'node:path';
import { checkout } from './setup/checkout.js';
import { minioProgram } from './setup/minio.js';
import { runInForeground } from './setup/run-in-foreground.js';
import { setUp } from './setup/set-up.js';
import { exitWithReason } from './setup/set-up-error.js';

process.chdir(checkout);
const runtime = await setUp({ forMinio: true }).catch(exitWithReason);
const vitest = join('node_modules', 'vitest', 'vitest.mjs');
process.env.ASSAYER_TEST_MINIO = minioProgram();
await runInForeground(runtime, [vitest, 'run', ...process.argv.slice(2)]);
