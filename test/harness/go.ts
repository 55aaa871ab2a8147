import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { access, mkdir, readdir, readFile, rename } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const BUILD_DEADLINE_MS = 600_000;

/**
 * Builds the Go package in `folder` of the module in `moduleFolder`. The executable stays for later runs, until the
 * module's sources change.
 *
 * @param modFile of the module, in place of its go.mod: the same sources with other dependencies.
 * @returns the path of the executable.
 */
export async function buildGo(moduleFolder: string, folder: string, modFile = 'go.mod'): Promise<string> {
  const cache = join(tmpdir(), 'assayer-test-go', `${await digestOf(moduleFolder)}-${basename(modFile, '.mod')}`);
  const executable = join(cache, basename(resolve(moduleFolder, folder)));
  if (await exists(executable)) return executable;
  await mkdir(cache, { recursive: true });
  const unfinished = `${executable}.${process.pid}`;
  await run('go', ['build', '-trimpath', `-modfile=${modFile}`, '-o', unfinished, `./${folder}`], {
    cwd: moduleFolder,
    timeout: BUILD_DEADLINE_MS,
  });
  await rename(unfinished, executable);
  return executable;
}

async function digestOf(moduleFolder: string): Promise<string> {
  const hash = createHash('sha256');
  const entries = await readdir(moduleFolder, { recursive: true });
  for (const entry of entries.filter((name) => /\.(go|mod|sum)$/.test(name)).sort()) {
    hash.update(`${entry}\n`).update(await readFile(join(moduleFolder, entry)));
  }
  return hash.digest('hex').slice(0, 16);
}

async function exists(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  );
}
