const cleanups = new Set<() => void>();
let watching = false;

/**
 * Runs `cleanup` where this process ends, in whatever orderly way, before the owner of a resource disposed it; the last
 * one comes first.
 *
 * @returns disposing it says that there is nothing left to do.
 */
export function cleanUpOnExit(cleanup: () => void): Disposable {
  cleanups.add(cleanup);
  if (!watching) process.once('exit', cleanUp);
  watching = true;
  return { [Symbol.dispose]: () => cleanups.delete(cleanup) };
}

function cleanUp(): void {
  for (const cleanup of [...cleanups].reverse()) {
    try {
      cleanup();
    } catch {
      // the process ends either way, and the others still have their turn
    }
  }
}
