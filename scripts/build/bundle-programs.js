import { existsSync, readdirSync, readFileSync } from 'node:fs';
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
    // V8 keeps a program's whole text for as long as it runs: without comments and indentation it is half.
    minifyWhitespace: true,
    lineLimit: 160,
  };
  await build({ ...whole, entryPoints: programs() });
  // A library that the ACME client brings along tells its classes apart by name; elsewhere kept names cost time in each call.
  await build({ ...whole, entryPoints: { 'acme-library': acmeLibrary }, keepNames: true });
  requireAscii(target);
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
    'pkcs11-token-thread': 'src/pkcs11/token-thread-worker.ts',
  };
  const plugins = join(checkout, 'src', 'plugins');
  for (const name of existsSync(plugins) ? readdirSync(plugins) : []) {
    for (const side of ['server', 'agent']) entries[`plugins/${side}-${name}`] = `src/plugins/${name}/${side}.main.ts`;
  }
  return Object.fromEntries(Object.entries(entries).filter(([, entry]) => existsSync(join(checkout, entry))));
}

/**
 * V8 keeps text that is not ASCII in two bytes a character, all of it. Strings are escaped; a regular expression is not.
 *
 * @param {string} target
 */
function requireAscii(target) {
  const bundles = readdirSync(target, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.js'));
  for (const name of bundles) {
    const foreign = /.{0,60}[^\0-\x7f]/.exec(readFileSync(join(target, name), 'utf8'));
    if (foreign === null) continue;
    throw new Error(`${name} has a character that is not ASCII, write it as an escape: ${foreign[0]}`);
  }
}
