import { mkdir, readdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { isTagOfTheDead, TAG_PATTERN } from './host-tag.ts';

/** How long processes that were killed may take to end; what is left then, the next start clears away. */
const END_MS = 2_000;
const POLL_MS = 20;

/** What a group is for. */
export type ControlLimit =
  | { readonly controller: 'pids'; readonly processes: number }
  /** Of 100, which a group has that is not told otherwise. */
  | { readonly controller: 'cpu'; readonly weight: number };
type Controller = ControlLimit['controller'];

/** A control group for one plugin, below this program's: holds its processes, whoever's they are. */
export class ControlGroup {
  readonly #path: string;

  private constructor(path: string) {
    this.#path = path;
  }

  /**
   * @param name begins as a socket folder's does, so that one that was left behind is recognised
   * @throws where this program may not make one
   */
  static async create(name: string, limit: ControlLimit): Promise<ControlGroup> {
    const own = await findOwnGroup(limit.controller);
    const path = join(own.path, name);
    await mkdir(path).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    });
    const group = new ControlGroup(path);
    try {
      const [file, value] = settingOf(limit, own.isUnified);
      await writeFile(join(path, file), String(value));
      return group;
    } catch (error) {
      await group.remove();
      throw error;
    }
  }

  /** Clears away those of hosts that were killed. */
  static async removeStale(): Promise<void> {
    for (const controller of ['pids', 'cpu'] as const) {
      const own = await findOwnGroup(controller).catch(() => undefined);
      if (own === undefined) continue;
      const pattern = new RegExp(`^assayer-${TAG_PATTERN}-[0-9A-Za-z]{6}$`);
      const names = await readdir(own.path).catch(() => []);
      const stale = names.filter((name) => isTagOfTheDead(pattern.exec(name)?.[1] ?? ''));
      await Promise.all(stale.map((name) => new ControlGroup(join(own.path, name)).remove()));
    }
  }

  /** The file that takes in the process that writes to it. */
  get entrance(): string {
    return join(this.#path, 'cgroup.procs');
  }

  /** Ends what the plugin left behind, wherever that hid and whatever it starts meanwhile, and removes the group. */
  async remove(): Promise<void> {
    await writeFile(join(this.#path, 'pids.max'), '0').catch(() => {}); // nobody forks any more
    const deadline = performance.now() + END_MS;
    for (;;) {
      await this.#kill();
      if ((await this.#isRemoved()) || performance.now() > deadline) return;
      await delay(POLL_MS);
    }
  }

  async #kill(): Promise<void> {
    const text = await readFile(this.entrance, 'utf8').catch(() => '');
    // 0 stands for one that cannot be seen from here; to kill(2) it would be this program's own group.
    const pids = text.split('\n').map(Number);
    for (const pid of pids.filter((found) => found > 0)) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // it has ended meanwhile
      }
    }
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

/** The file of a group, and what is written there. The older hierarchies give a group 1024 shares. */
function settingOf(limit: ControlLimit, isUnified: boolean): readonly [file: string, value: number] {
  switch (limit.controller) {
    case 'pids':
      return ['pids.max', limit.processes];
    case 'cpu':
      return isUnified ? ['cpu.weight', limit.weight] : ['cpu.shares', Math.round((limit.weight * 1024) / 100)];
    default:
      return limit satisfies never;
  }
}

interface OwnGroup {
  readonly path: string;
  readonly isUnified: boolean;
}

/**
 * Where this program is in the hierarchy of a controller. Source: cgroups(7), /proc/PID/cgroup; proc_pid_mountinfo(5).
 *
 * @throws where there is none, or the controller cannot be switched on for groups below
 */
async function findOwnGroup(controller: Controller): Promise<OwnGroup> {
  const [groups, mounts] = await Promise.all(
    ['cgroup', 'mountinfo'].map((name) => readFile(`/proc/self/${name}`, 'utf8')),
  );
  for (const line of groups?.split('\n') ?? []) {
    const [, controllers = '', path = ''] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    const isUnified = line.startsWith('0::');
    if (!isUnified && !controllers.split(',').includes(controller)) continue;
    const mounted = findMount(mounts ?? '', isUnified, controller);
    if (mounted === undefined) continue;
    const own = join(mounted.point, relative(mounted.root, path));
    if (isUnified) await writeFile(join(own, 'cgroup.subtree_control'), `+${controller}`);
    return { path: own, isUnified };
  }
  throw new Error(`there is no control group with the controller "${controller}"`);
}

function findMount(
  mountinfo: string,
  isUnified: boolean,
  controller: Controller,
): { readonly root: string; readonly point: string } | undefined {
  const wanted = isUnified ? / - cgroup2 / : new RegExp(` - cgroup \\S+ (?:\\S*,)?${controller}(?:,|$)`);
  const line = mountinfo.split('\n').find((text) => wanted.test(text));
  const [, , , root, point] = line?.split(' ') ?? [];
  return root === undefined || point === undefined ? undefined : { root, point };
}
