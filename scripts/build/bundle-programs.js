import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';
import { leftOut } from '../../src/authoring/build-plugin/left-out.ts';
import { checkout } from '../setup/checkout.js';
import { libraries } from './libraries.js';

/** Dependencies in CommonJS, such as grpc-js, load Node's own modules with `require`. */
const requireBanner =
  "import { createRequire as createRequireOfBundle } from 'node:module';\nconst require = createRequireOfBundle(import.meta.url);";

const acmeLibrary = 'src/acme/acme-library.ts';

/**
 * Bundles every program that has an entry file, each into one file that needs no other.
 *
 * @param {string} target
 */
export async function bundlePrograms(target) {
  const shared = {
    bundle: true,
    platform: 'node',
    target: 'node24',
    format: 'esm',
    sourcemap: 'external',
    logLevel: 'warning',
  };
  const whole = {
    ...shared,
    absWorkingDir: checkout,
    outdir: target,
    banner: { js: requireBanner },
    plugins: [leftOut],
  };
  await build({ ...whole, entryPoints: programs() });
  // A library that the ACME client brings along tells its classes apart by name; elsewhere kept names cost time in each call.
  await build({ ...whole, entryPoints: { 'acme-library': acmeLibrary }, keepNames: true });
  // A library shares its dependencies with whoever imports it.
  await build({
    ...shared,
    absWorkingDir: checkout,
    entryPoints: libraries,
    outdir: target,
    packages: 'external',
  });
}

/** What each bundle is called, and where it begins. */
function programs() {
  const entries = {
    assayer: 'src/cli/main.ts',
    'managed-tls-key-worker': 'src/rpc/managed-tls-key-worker.ts',
    'open-telemetry': 'src/tracing/open-telemetry.ts',
  };
  const plugins = join(checkout, 'src', 'plugins');
  for (const name of existsSync(plugins) ? readdirSync(plugins) : []) {
    for (const side of ['server', 'agent']) entries[`plugins/${side}-${name}`] = `src/plugins/${name}/${side}.main.ts`;
  }
  return Object.fromEntries(Object.entries(entries).filter(([, entry]) => existsSync(join(checkout, entry))));
}
