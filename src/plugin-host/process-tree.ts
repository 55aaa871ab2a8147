import type { ChildProcess } from 'node:child_process';

/** How long the launcher may take to end a plugin and all that this started, before the host does what it can. */
const SUPERVISOR_MS = 2_000;

/** A process that the host started, and what comes of it. */
export class ProcessTree {
  readonly #child: ChildProcess & { readonly pid: number };
  readonly #isSupervised: boolean;
  /** The plugin, where the launcher stays above it: it leads a group of its own. */
  #pluginPid: number | undefined;
  #insisting: NodeJS.Timeout | undefined;

  /** @param isSupervised by the launcher, which finds what the plugin started in whatever group or session that is. */
  constructor(child: ChildProcess & { readonly pid: number }, isSupervised: boolean) {
    this.#child = child;
    this.#isSupervised = isSupervised;
    child.once('exit', () => {
      clearTimeout(this.#insisting);
      killGroup(child.pid); // what it started and left behind
    });
  }

  set pluginPid(pid: number) {
    this.#pluginPid = pid;
  }

  /** Ends all of it at once. One that has ended has taken all along, and its number may be another's. */
  end(): void {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    if (!this.#isSupervised) {
      killGroup(this.#child.pid);
      return;
    }
    this.#insisting ??= setTimeout(() => {
      if (this.#pluginPid !== undefined) killGroup(this.#pluginPid);
      killGroup(this.#child.pid);
    }, SUPERVISOR_MS).unref();
    this.#child.kill('SIGTERM');
  }
}

/** Kills a process that leads its group, and all that it started there. */
function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // nobody is left in the group
  }
}
