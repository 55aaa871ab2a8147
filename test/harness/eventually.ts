import { vi } from 'vitest';

const INTERVAL_MS = 20;
/** Of a machine that does many other things. It costs nothing where the test does not fail. */
const PATIENCE_MS = 20_000;

/** What `look` returns, once it no longer throws. @throws what it threw last, after `patienceMs` */
export async function eventually<T>(look: () => T | Promise<T>, patienceMs = PATIENCE_MS): Promise<T> {
  return await vi.waitFor(look, { timeout: patienceMs, interval: INTERVAL_MS });
}
