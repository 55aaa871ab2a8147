import { execFile } from 'node:child_process';
import { access, copyFile, cp, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import { TestProcess } from './child-process.ts';
import { createTemporaryFolder, type TemporaryFolder } from './temporary-folder.ts';

export interface SystemdMachineOptions {
  /** Files of units by name, such as `web.service`; all of them are started. */
  readonly units: Readonly<Record<string, string>>;
}

/** A process of the machine. */
export interface MachineProcess {
  /** As this machine numbers it. */
  readonly hostPid: number;
  /** As its own does. */
  readonly pid: number;
}

const execute = promisify(execFile);
const READY_MS = 60_000;
/** Where control groups that systemd keeps are: version 2 alone, or version 1 and both together. */
const CGROUP_ROOTS = ['/sys/fs/cgroup', '/sys/fs/cgroup/systemd', '/sys/fs/cgroup/unified'];
/** nspawn and its systemd have control groups of their own, and the folder where nspawn keeps its locks. */
const START = `
name=$1
shift
for root in ${CGROUP_ROOTS.join(' ')}; do
  if [ -e "$root/cgroup.procs" ]; then mkdir -p "$root/$name" && echo $$ > "$root/$name/cgroup.procs"; fi
done
mkdir -p /run/systemd/nspawn && mount -t tmpfs none /run/systemd/nspawn
exec systemd-nspawn --quiet --register=no --keep-unit "$@"`;

/** systemd as the first process of a container of systemd-nspawn, with this machine's programs. For root. */
export class SystemdMachine implements AsyncDisposable {
  /** Of its system bus, as this machine names it. */
  readonly busPath: string;
  readonly #nspawn: TestProcess;
  readonly #initPid: number;
  readonly #folder: TemporaryFolder;

  private constructor(options: { nspawn: TestProcess; initPid: number; busPath: string; folder: TemporaryFolder }) {
    this.#nspawn = options.nspawn;
    this.#initPid = options.initPid;
    this.busPath = options.busPath;
    this.#folder = options.folder;
  }

  static async start({ units }: SystemdMachineOptions): Promise<SystemdMachine> {
    await using stack = new AsyncDisposableStack();
    const folder = stack.use(await createTemporaryFolder());
    const root = folder.join('root');
    await layOut(root, units);
    const bus = folder.join('bus');
    await mkdir(bus);
    const binds = ['--bind-ro=/usr', `--bind=${bus}:/run/dbus`];
    const args = ['--mount', 'sh', '-c', START, 'sh', basename(folder.path), '-D', root, ...binds, '--boot'];
    const nspawn = stack.use(await TestProcess.start('unshare', args, 'ignore'));
    nspawn.ignoreOutput();
    const busPath = `${bus}/system_bus_socket`;
    const initPid = await waitFor('its bus', async () => {
      await access(busPath);
      return (await childrenOf(nspawn.pid))[0];
    });
    stack.move();
    return new SystemdMachine({ nspawn, initPid, busPath, folder });
  }

  /** The process that systemd started for a service, by the name of its program. */
  async findProcess(program: string): Promise<MachineProcess> {
    return await waitFor(program, async () => {
      for (const hostPid of await childrenOf(this.#initPid)) {
        const status = await readFile(`/proc/${hostPid}/status`, 'utf8');
        if (/^Name:\t(.*)$/m.exec(status)?.[1] !== program) continue;
        return { hostPid, pid: Number(/^NSpid:.*\t(\d+)$/m.exec(status)?.[1]) };
      }
      return undefined;
    });
  }

  /** Runs a program in it to its end. */
  async run(program: string, ...args: readonly string[]): Promise<void> {
    await execute('nsenter', ['-t', `${this.#initPid}`, '-a', program, ...args]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    process.kill(this.#initPid, 'SIGKILL'); // its namespace ends with it, and nspawn then; the other way round it goes on
    await this.#nspawn.exited();
    for (const root of CGROUP_ROOTS) await removeGroups(join(root, basename(this.#folder.path)));
    await this.#folder[Symbol.asyncDispose]();
  }
}

async function layOut(root: string, units: Readonly<Record<string, string>>): Promise<void> {
  const unitFolder = `${root}/etc/systemd/system`;
  for (const name of ['usr', 'run', 'tmp', 'var/tmp', 'var/log', 'proc', 'sys', 'dev', 'root']) {
    await mkdir(`${root}/${name}`, { recursive: true });
  }
  for (const name of ['bin', 'sbin', 'lib', 'lib64']) await symlink(`usr/${name}`, `${root}/${name}`);
  await mkdir(unitFolder, { recursive: true });
  await writeFile(`${root}/etc/machine-id`, '');
  await writeFile(`${root}/etc/os-release`, 'ID=test\n');
  for (const name of ['passwd', 'group', 'nsswitch.conf']) await copyFile(`/etc/${name}`, `${root}/etc/${name}`);
  await cp('/etc/dbus-1', `${root}/etc/dbus-1`, { recursive: true });
  const wanted = ['dbus.socket', ...Object.keys(units)].join(' ');
  const target = `[Unit]\nRequires=${wanted}\nAfter=${wanted}\nAllowIsolate=yes\n`;
  for (const [name, text] of Object.entries({ 'default.target': target, ...units })) {
    await writeFile(`${unitFolder}/${name}`, text);
  }
}

/** A control group can be removed once it has no groups below and no processes, which the kernel may be slow to see. */
async function removeGroups(path: string): Promise<void> {
  await waitFor(`gone from ${path}`, async () => {
    await execute('find', [path, '-depth', '-type', 'd', '-exec', 'rmdir', '{}', ';']).catch(() => {});
    return await access(path).then(
      () => undefined,
      () => true,
    );
  });
}

async function childrenOf(pid: number): Promise<readonly number[]> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8');
  return text.split(' ').filter(Boolean).map(Number);
}

async function waitFor<T>(what: string, find: () => Promise<T | undefined>): Promise<T> {
  const until = Date.now() + READY_MS;
  while (Date.now() < until) {
    const found = await find().catch(() => undefined);
    if (found !== undefined) return found;
    await pause(50);
  }
  throw new Error(`the machine of systemd has not ${what} after ${READY_MS} ms`);
}
