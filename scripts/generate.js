// Regenerates src/gen from proto/.
import { generate } from './generate/generate.js';
import { checkout } from './setup/checkout.js';

generate(checkout);
