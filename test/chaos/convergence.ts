import { setTimeout as wait } from 'node:timers/promises';
import type { EntryBook } from './entry-book.ts';
import type { Occupation, Workload } from './workload.ts';

const LOOK_MS = 25;

/**
 * Waits until each workload has just the identities that the entries give it, in its stream and in tokens that it fetched
 * since `wellAt`.
 *
 * @returns after how many milliseconds, and what is still wrong where that takes longer than `boundMs`; else what was
 *   wrong last.
 */
export async function converged(
  workloads: readonly Workload[],
  book: EntryBook,
  { wellAt, boundMs }: { readonly wellAt: number; readonly boundMs: number },
): Promise<{ readonly ms: number; readonly faults: readonly string[]; readonly last: readonly string[] }> {
  let last: readonly string[] = [];
  for (;;) {
    const faults = workloads.flatMap((workload) => faultsOf(workload, book, wellAt));
    const ms = Date.now() - wellAt;
    if (faults.length === 0 || ms > boundMs) return { ms, faults, last };
    last = faults;
    await wait(LOOK_MS);
  }
}

function faultsOf(workload: Workload, book: EntryBook, wellAt: number): readonly string[] {
  const expected = [...book.expected(workload.selectors)].sort();
  return (['x509', 'jwt'] as const).flatMap((occupation) => {
    const fault = faultIn(workload, occupation, expected, wellAt);
    return fault === undefined ? [] : [`the workload of user ${workload.place.uid}: ${occupation}: ${fault}`];
  });
}

function faultIn(
  workload: Workload,
  occupation: Occupation,
  expected: readonly string[],
  wellAt: number,
): string | undefined {
  const last = workload.last(occupation);
  if (last === undefined) return 'nothing was ever answered';
  const wanted = `it is to have ${expected.join(', ') || 'no identity'}`;
  if (occupation === 'jwt' && last.at < wellAt) return `nothing was answered for ${Date.now() - last.at} ms, ${wanted}`;
  if (last.code !== undefined) {
    const isRight = expected.length === 0 && last.code === 'PermissionDenied';
    return isRight ? undefined : `${last.code} (${last.message}), ${wanted}`;
  }
  const ids = last.held.map(({ id }) => id).sort();
  if (ids.join() !== expected.join()) return `it has ${ids.join(', ')}, ${wanted}`;
  const ended = last.held.filter(({ expiresAt }) => occupation === 'x509' && expiresAt < Date.now());
  return ended.length === 0 ? undefined : `what it holds has expired: ${ended.map(({ id }) => id).join(', ')}`;
}
