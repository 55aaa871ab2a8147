import { mkdir, readdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { TestProcess } from '../../harness/child-process.ts';

/** A process in a cgroup that is called like that of a pod's container; both are gone with the test. */
export class PodProcess implements AsyncDisposable {
  readonly #folder: string;
  readonly #top: string;
  readonly process: TestProcess;

  private constructor(folder: string, top: string, process: TestProcess) {
    this.#folder = folder;
    this.#top = top;
    this.process = process;
  }

  /**
   * Starts `command`, and lets it run once it is in its cgroup.
   *
   * @param above where `kubepods` is; a part of its name has to be of the test's own
   */
  static async start(
    { podUid, containerId }: { readonly podUid: string; readonly containerId: string },
    above: string,
    command: readonly string[] = ['sleep', '600'],
  ): Promise<PodProcess> {
    const [first = ''] = above.split('/').filter(Boolean);
    const top = join(await hierarchy(), first);
    const folder = join(await hierarchy(), above, 'kubepods', 'besteffort', `pod${podUid}`, containerId);
    await mkdir(folder, { recursive: true });
    const process = await TestProcess.start('/bin/sh', ['-c', 'read -r go && exec "$@"', 'sh', ...command]);
    await writeFile(join(folder, 'cgroup.procs'), String(process.pid));
    process.writeLine('go');
    return new PodProcess(folder, top, process);
  }

  get pid(): number {
    return this.process.pid;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.process.kill();
    for (let folder = this.#folder; folder.startsWith(this.#top); folder = dirname(folder)) {
      if (!(await remove(folder))) return; // another process has one beside
    }
  }
}

/** Where a hierarchy is mounted in which whoever is root may make cgroups: one that accounts for nothing, where there is one. */
async function hierarchy(): Promise<string> {
  const mounts = (await readFile('/proc/self/mounts', 'utf8')).split('\n').map((line) => line.split(' '));
  const folders = mounts.flatMap(([, folder = '', type = '', options = '']) =>
    type === 'cgroup2' || (type === 'cgroup' && /name=systemd|pids/.test(options)) ? [folder] : [],
  );
  const [first] = folders;
  if (first === undefined) throw new Error('no cgroups are mounted');
  return first;
}

/** The kernel takes a moment to empty a cgroup of a process that has ended. */
async function remove(folder: string): Promise<boolean> {
  for (let attempt = 0; ; attempt++) {
    try {
      await rmdir(folder);
      return true;
    } catch (error) {
      const entries = await readdir(folder, { withFileTypes: true }).catch(() => undefined);
      if (entries === undefined || entries.some((entry) => entry.isDirectory())) return entries === undefined;
      if (attempt === 100) throw error;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
}
