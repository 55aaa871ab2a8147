import type { UnixPeer } from '../../rpc/peer.ts';
import { openProcess } from '../../rpc/pidfd.ts';
import { isSpiffeError, SpiffeError } from '../../spiffe/error.ts';
import type { Selector } from '../../spiffe/selector.ts';
import { Reattestation, type ReattestationOptions } from '../workloads/reattestation.ts';

/** A process that somebody else speaks for, and what it is. Disposing lets go of it. */
export interface HeldProcess extends Disposable {
  readonly selectors: readonly Selector[];
  /** @throws SpiffeError `WORKLOAD_NOT_FOUND` once it has ended, `REPLACED` once it is not what it was. */
  check(): void;
}

/**
 * Takes hold of a process by its number, and has it attested, again and again: what is found is of that process, whoever has
 * the number later, and holds until something else is found.
 *
 * @throws SpiffeError `ARGUMENT_INVALID`, `WORKLOAD_NOT_FOUND`, `REPLACED`, and what `attest` throws.
 */
export async function holdProcess(
  pid: number,
  attest: (process: UnixPeer, signal: AbortSignal) => Promise<readonly Selector[]>,
  options: Pick<ReattestationOptions, 'seconds' | 'isSilence' | 'call'>,
): Promise<HeldProcess> {
  if (pid < 1) throw new SpiffeError('ARGUMENT_INVALID', `process ID ${pid} is not a positive number`);
  const process = open(pid);
  try {
    requireUnchanged(process);
    const selectors = await attest(process, options.call);
    requireUnchanged(process);
    const again = new Reattestation({ ...options, selectors, attest: (signal) => attest(process, signal) });
    const check = () => {
      requireUnchanged(process);
      if (again.next === undefined) return;
      throw new SpiffeError('REPLACED', `process ${pid} has other selectors by now: ask again`);
    };
    const release = () => {
      again[Symbol.dispose]();
      process[Symbol.dispose]();
    };
    return { selectors, check, [Symbol.dispose]: release };
  } catch (error) {
    process[Symbol.dispose]();
    throw isSpiffeError(error, 'UNAUTHENTICATED') ? ended(pid, error) : error;
  }
}

function requireUnchanged(process: UnixPeer): void {
  if (isUnchanged(process)) return;
  const { pid } = process;
  if (!process.isAlive()) throw ended(pid);
  throw new SpiffeError('REPLACED', `process ${pid} has become another program or user: ask again`);
}

/** One that ends while it is looked at is as good as one that has ended before. */
function isUnchanged(process: UnixPeer): boolean {
  try {
    return process.isUnchanged();
  } catch (error) {
    if (isSpiffeError(error, 'UNAUTHENTICATED')) return false;
    throw error;
  }
}

function ended(pid: number, cause?: unknown): SpiffeError {
  return new SpiffeError('WORKLOAD_NOT_FOUND', `process ${pid} has ended`, { cause });
}

function open(pid: number): UnixPeer {
  try {
    return openProcess(pid);
  } catch (cause) {
    if (!isSpiffeError(cause, 'UNAUTHENTICATED')) throw cause;
    throw new SpiffeError(
      'WORKLOAD_NOT_FOUND',
      `there is no process ${pid} on this node: give its number in the PID namespace of the agent`,
      { cause },
    );
  }
}
