import { mkdir, readdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { isTagOfTheDead, TAG_PATTERN } from './host-tag.ts';

/** How long processes that were killed may take to end; what is left then, the next start clears away. */
const END_MS = 1_000;
const POLL_MS = 20;

/** A control group for one plugin, below this program's: counts its processes, whoever's they are. */
export class ControlGroup {
  readonly #path: string;

  private constructor(path: string) {
    this.#path = path;
  }

  /**
   * @param name begins as a socket folder's does, so that one that was left behind is recognised
   * @throws where this program may not make one
   */
  static async create(name: string, processes: number): Promise<ControlGroup> {
    const path = join(await findOwnGroup(), name);
    await mkdir(path).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    });
    const group = new ControlGroup(path);
    try {
      await writeFile(join(path, 'pids.max'), String(processes));
      return group;
    } catch (error) {
      await group.remove();
      throw error;
    }
  }

  /** Clears away those of hosts that were killed. */
  static async removeStale(): Promise<void> {
    const own = await findOwnGroup().catch(() => undefined);
    if (own === undefined) return;
    const pattern = new RegExp(`^assayer-${TAG_PATTERN}-[0-9A-Za-z]{6}$`);
    const names = await readdir(own).catch(() => []);
    const stale = names.filter((name) => isTagOfTheDead(pattern.exec(name)?.[1] ?? ''));
    await Promise.all(stale.map((name) => new ControlGroup(join(own, name)).remove()));
  }

  /** The file that takes in the process that writes to it. */
  get entrance(): string {
    return join(this.#path, 'cgroup.procs');
  }

  /** Ends what the plugin left behind, wherever that hid, and removes the group. */
  async remove(): Promise<void> {
    const pids = (await readFile(this.entrance, 'utf8').catch(() => '')).split('\n').filter(Boolean).map(Number);
    for (const pid of pids) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // it has ended meanwhile
      }
    }
    const deadline = performance.now() + END_MS;
    while (!(await this.#isRemoved()) && performance.now() < deadline) await delay(POLL_MS);
  }

  /** False while it is busy. */
  async #isRemoved(): Promise<boolean> {
    try {
      await rmdir(this.#path);
      return true;
    } catch (error) {
      return !(error instanceof Error && 'code' in error && error.code === 'EBUSY');
    }
  }
}

/**
 * Where this program is in the hierarchy that counts processes. Source: cgroups(7), /proc/PID/cgroup; proc_pid_mountinfo(5).
 *
 * @throws where there is none, or its counting cannot be switched on for groups below
 */
async function findOwnGroup(): Promise<string> {
  const [groups, mounts] = await Promise.all(
    ['cgroup', 'mountinfo'].map((name) => readFile(`/proc/self/${name}`, 'utf8')),
  );
  for (const line of groups?.split('\n') ?? []) {
    const [, controllers = '', path = ''] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    const isUnified = line.startsWith('0::');
    if (!isUnified && !controllers.split(',').includes('pids')) continue;
    const mounted = findMount(mounts ?? '', isUnified);
    if (mounted === undefined) continue;
    const own = join(mounted.point, relative(mounted.root, path));
    if (isUnified) await writeFile(join(own, 'cgroup.subtree_control'), '+pids');
    return own;
  }
  throw new Error('there is no control group that counts processes');
}

function findMount(
  mountinfo: string,
  isUnified: boolean,
): { readonly root: string; readonly point: string } | undefined {
  const wanted = isUnified ? / - cgroup2 / : / - cgroup \S+ \S*\bpids\b/;
  const line = mountinfo.split('\n').find((text) => wanted.test(text));
  const [, , , root, point] = line?.split(' ') ?? [];
  return root === undefined || point === undefined ? undefined : { root, point };
}
