import { copyFileSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { checkout } from './checkout.js';
import { fingerprint, listFiles } from './fingerprint.js';
import { environmentWithoutNpm, runCommand } from './run-command.js';
import { findRuntime, runtimeIdentity } from './runtime.js';
import { readStamp, removeStamp, stampFolder, writeStamp } from './stamps.js';

/** Compiling happens on a copy, so that a program that runs keeps its addons until whole new ones take their place. */
const workFolder = join(stampFolder, 'native');
const isSource = (path) => !path.startsWith(join('native', 'build'));
/** What is run as a program of its own. */
const executables = ['sandbox'];
const isProduct = (name) => (name.endsWith('.node') && !name.includes('/')) || executables.includes(name);
const released = () => listFiles('native').filter((path) => isProduct(path.replace(/^native\/build\/Release\//, '')));

function wanted() {
  return fingerprint({
    paths: ['native', 'package-lock.json'],
    words: [runtimeIdentity(findRuntime())],
    isWanted: isSource,
  });
}

/** What was built, so that one that was removed or changed by hand is built again. */
const built = () => fingerprint({ paths: released() });

export const addons = {
  isDone: () => readStamp('addons') === `${wanted()} ${built()}`,
  title: () => 'compiles the addons',
  async run() {
    removeStamp('addons');
    const sources = wanted();
    copySources();
    const { path, prefix } = findRuntime();
    const gyp = join(checkout, 'node_modules', 'node-gyp', 'bin', 'node-gyp.js');
    const environment = environmentWithoutNpm();
    const options = { cwd: workFolder, env: { ...environment, PATH: `${dirname(path)}:${environment.PATH}` } };
    // With --nodedir it never downloads headers.
    await runCommand(path, [gyp, 'configure', '--release', `--nodedir=${prefix}`], options);
    await runCommand(path, [gyp, 'build', '--release', `--jobs=${availableParallelism()}`], options);
    publish();
    writeStamp('addons', `${sources} ${built()}`);
  },
};

/** Copies what changed only: `make` goes by times. */
function copySources() {
  const wantedFiles = new Set(listFiles('native').filter(isSource));
  for (const path of wantedFiles) {
    const target = join(stampFolder, path);
    if (existsSync(target) && readFileSync(target).equals(readFileSync(join(checkout, path)))) continue;
    mkdirSync(dirname(target), { recursive: true });
    copyFileSync(join(checkout, path), target);
  }
  for (const path of listFiles('.setup/native')) {
    const source = path.slice('.setup/'.length);
    if (isSource(source) && !wantedFiles.has(source)) rmSync(join(checkout, path));
  }
}

function publish() {
  const target = join(checkout, 'native', 'build', 'Release');
  mkdirSync(target, { recursive: true });
  for (const path of listFiles('.setup/native/build/Release')) {
    const name = path.slice('.setup/native/build/Release/'.length);
    if (!isProduct(name)) continue;
    copyFileSync(join(checkout, path), join(target, `${name}.new`));
    renameSync(join(target, `${name}.new`), join(target, name));
  }
}
