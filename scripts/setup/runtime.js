import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { checkout } from './checkout.js';
import { fingerprint } from './fingerprint.js';
import { npmCi } from './npm-ci.js';
import { SetUpError } from './set-up-error.js';
import { readStamp, removeStamp, writeStamp } from './stamps.js';

const OLDEST_MAJOR = 24;
const ownFolder = join(checkout, 'tools', 'node');
const ownPrefix = join(ownFolder, 'node_modules', `node-${process.platform}-${process.arch}`);

/**
 * The Node that everything but set-up itself runs on: the one that runs now where it will do, otherwise the one of `tools/node`.
 * It will do when it is new enough, brings the headers that the addons compile against, and has its own OpenSSL: `native/key` hands
 * keys to exactly that one.
 *
 * @typedef {{ path: string, prefix: string }} Runtime
 * @returns {Runtime}
 */
export function findRuntime() {
  const prefix = dirname(dirname(process.execPath));
  const isUsable =
    Number.parseInt(process.versions.node, 10) >= OLDEST_MAJOR &&
    existsSync(join(prefix, 'include', 'node', 'node_api.h')) &&
    !process.config.variables.node_shared_openssl;
  return isUsable ? { path: process.execPath, prefix } : { path: join(ownPrefix, 'bin', 'node'), prefix: ownPrefix };
}

/**
 * A word that changes with the Node in use.
 *
 * @param {Runtime} runtime
 */
export function runtimeIdentity({ path }) {
  return path === process.execPath ? `${path} ${process.versions.node}` : `${path} ${ownVersion()}`;
}

export const runtimeStep = {
  isDone: () => isThere(findRuntime()) && readStamp('runtime') === findRuntime().path,
  title: () => (isThere(findRuntime()) ? `uses Node at ${findRuntime().path}` : `fetches Node ${ownVersion()}`),
  async run() {
    const runtime = findRuntime();
    if (!isThere(runtime)) {
      removeStamp('tools-node');
      await npmCi(ownFolder);
      if (!existsSync(runtime.path)) {
        throw new SetUpError(
          `there is no Node package for ${process.platform} on ${process.arch}: install Node ${OLDEST_MAJOR} or later and run set-up with it`,
        );
      }
      writeStamp('tools-node', wanted());
    }
    // `bin/assayer` reads it.
    writeStamp('runtime', runtime.path);
  },
};

/** @param {Runtime} runtime */
function isThere({ path }) {
  return path === process.execPath || (existsSync(path) && readStamp('tools-node') === wanted());
}

const wanted = () => fingerprint({ paths: ['tools/node/package.json', 'tools/node/package-lock.json'] });

function ownVersion() {
  const lock = createRequire(import.meta.url)(join(ownFolder, 'package-lock.json'));
  return lock.packages[`node_modules/node-${process.platform}-${process.arch}`]?.version ?? String(OLDEST_MAJOR);
}
