import { mkdir, readdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';

/** A cgroup of the test's own in every hierarchy; the empty name is the root. Disposing wants it without processes. */
export class MadeCgroup implements AsyncDisposable {
  readonly #name: string;
  readonly #made: string[] = [];

  constructor(name: string) {
    this.#name = name;
  }

  async make(): Promise<void> {
    for (const root of await hierarchies()) await this.#make(root, this.#name);
  }

  async take(pid: number): Promise<void> {
    await this.make();
    for (const root of await hierarchies()) {
      await writeFile(join(root, this.#name, 'cgroup.procs'), String(pid));
    }
  }

  async #make(root: string, name: string): Promise<void> {
    if (['', '.', '/'].includes(name)) return;
    await this.#make(root, dirname(name));
    const folder = join(root, name);
    if ((await mkdir(folder, { recursive: true })) === undefined) return;
    this.#made.push(folder);
    for (const file of ['cpuset.cpus', 'cpuset.mems']) {
      // Version 1 gives a new one none, and takes no process into it.
      const above = await readFile(join(dirname(folder), file), 'utf8').catch(() => '');
      if (above.trim() !== '') await writeFile(join(folder, file), above).catch(() => {});
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const folder of this.#made.toReversed()) await removeWhenEmpty(folder);
  }
}

async function hierarchies(): Promise<readonly string[]> {
  const mounts = (await readFile('/proc/self/mounts', 'utf8')).split('\n').map((line) => line.split(' '));
  return mounts.flatMap(([, folder = '', type]) => (type === 'cgroup' || type === 'cgroup2' ? [folder] : []));
}

/** With what somebody made below it. A process that was killed leaves its cgroup a moment later. */
async function removeWhenEmpty(folder: string): Promise<void> {
  for (const below of await readdir(folder, { withFileTypes: true })) {
    if (below.isDirectory()) await removeWhenEmpty(join(folder, below.name));
  }
  for (let left = 200; left > 0; left--) {
    try {
      return await rmdir(folder);
    } catch (error) {
      if (left === 1) throw error;
      await wait(10);
    }
  }
}
