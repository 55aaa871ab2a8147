const running = new Set<number>();
let watching = false;

/** Makes sure that the process group of `pid` does not outlive this process's orderly end. */
export function rememberChild(pid: number): void {
  running.add(pid);
  if (watching) return;
  watching = true;
  process.once('exit', () => {
    for (const pid of running) killGroup(pid);
  });
}

/** To be called when the child has ended; what it left running in its group ends with it. */
export function forgetChild(pid: number): void {
  if (running.delete(pid)) killGroup(pid);
}

/** Kills a process that leads its group, and all that it started there. */
export function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // nobody is left in the group
  }
}
