import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { access, mkdir, mkdtemp, readdir, readFile, realpath, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const BUILD_DEADLINE_MS = 900_000;
const SOURCES = fileURLToPath(new URL('../interop/workload-clients', import.meta.url));
/** The version that Maven itself would choose depends on Maven's own. */
const COPY_DEPENDENCIES = 'org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies';

/** A workload that uses a library of others, ready to be started. */
export interface WorkloadClient {
  readonly command: string;
  readonly args: readonly string[];
  /** What /proc says a process of it runs. */
  readonly executable: string;
}

/** java-spiffe, from Maven. */
export async function buildJavaClient(): Promise<WorkloadClient> {
  const folder = await keep('java', 'java', async (building, sources) => {
    const pom = join(sources, 'pom.xml');
    await execute('mvn', ['-q', '-B', '-f', pom, COPY_DEPENDENCIES, `-DoutputDirectory=${join(building, 'lib')}`]);
    await execute('javac', ['-cp', join(building, 'lib', '*'), '-d', building, join(sources, 'Workload.java')]);
  });
  const classPath = [folder, join(folder, 'lib', '*')].join(delimiter);
  const { stderr: settings } = await run('java', ['-XshowSettings:properties', '-version'], { encoding: 'utf8' });
  const home = /java\.home = (.+)/.exec(settings)?.[1] ?? '';
  return {
    command: 'java',
    args: ['-XX:TieredStopAtLevel=1', '-cp', classPath, 'Workload'],
    executable: await realpath(join(home, 'bin', 'java')),
  };
}

/**
 * py-spiffe, from PyPI. With the packages in its folder and no others: of those that the system has, `pem` would import
 * an OpenSSL that this `cryptography` is too new for.
 */
export async function installPythonClient(): Promise<WorkloadClient> {
  const { stdout } = await run(
    'python3',
    ['-c', 'import sys; print(sys.executable); print(sys.implementation.cache_tag)'],
    { encoding: 'utf8' },
  );
  const [path = '', version = ''] = stdout.trim().split('\n');
  const folder = await keep(`python-${version}`, 'python', async (building, sources) => {
    const requirements = join(sources, 'requirements.txt');
    const options = ['--quiet', '--no-deps', '--only-binary', ':all:', '--target', join(building, 'lib')];
    await execute(path, ['-m', 'pip', 'install', ...options, '-r', requirements]);
  });
  const python = await realpath(path);
  return {
    command: '/usr/bin/env',
    args: [`PYTHONPATH=${join(folder, 'lib')}`, python, '-S', join(SOURCES, 'python', 'workload.py')],
    executable: python,
  };
}

/** The crate spiffe, from crates.io. */
export async function buildRustClient(): Promise<WorkloadClient> {
  const folder = await keep('rust', 'rust', async (building, sources) => {
    const target = join(building, 'target');
    const manifest = join(sources, 'Cargo.toml');
    await execute('cargo', ['build', '--quiet', '--locked', '--manifest-path', manifest, '--target-dir', target]);
    await rename(join(target, 'debug', 'workload'), join(building, 'workload'));
    await rm(target, { recursive: true });
  });
  const executable = join(folder, 'workload');
  return { command: executable, args: [], executable: await realpath(executable) };
}

async function execute(command: string, args: readonly string[]): Promise<void> {
  await run(command, [...args], { timeout: BUILD_DEADLINE_MS });
}

/** @returns a folder that `fill` has filled, in this run or an earlier one with the same sources, of any checkout. */
async function keep(
  name: string,
  sourceFolder: string,
  fill: (building: string, sources: string) => Promise<void>,
): Promise<string> {
  const sources = join(SOURCES, sourceFolder);
  const parent = join(tmpdir(), 'assayer-test-clients');
  const folder = join(parent, `${name}-${await digestOf(sources)}`);
  if (await exists(folder)) return folder;
  await mkdir(parent, { recursive: true });
  const building = await mkdtemp(`${folder}.`);
  try {
    await fill(building, sources);
    await rename(building, folder);
  } catch (error) {
    await rm(building, { recursive: true, force: true });
    if (!(await exists(folder))) throw error; // else somebody else was faster
  }
  return folder;
}

async function digestOf(folder: string): Promise<string> {
  const hash = createHash('sha256');
  for (const entry of (await readdir(folder, { recursive: true, withFileTypes: true })).sort(byPath)) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    hash.update(`${relative(folder, path)}\n`).update(await readFile(path));
  }
  return hash.digest('hex').slice(0, 16);
}

const byPath = (a: { name: string; parentPath: string }, b: { name: string; parentPath: string }): number =>
  join(a.parentPath, a.name) < join(b.parentPath, b.name) ? -1 : 1;

async function exists(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  );
}
