// Prepares the checkout: system packages, Node, npm packages, addons, build. Needs nothing but Node 20.

import { setUp } from './setup/set-up.js';
import { exitWithReason } from './setup/set-up-error.js';

await setUp().catch(exitWithReason);
