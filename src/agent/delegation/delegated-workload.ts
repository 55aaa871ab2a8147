import type { CallContext } from '../../rpc/call.ts';
import { SpiffeError } from '../../spiffe/error.ts';
import type { Selector } from '../../spiffe/selector.ts';
import { isSilentAttestor } from '../workloads/follow-workload.ts';
import type { DelegationDeps } from './delegation-deps.ts';
import { type HeldProcess, holdProcess } from './held-process.ts';
import { requestedSelectors } from './requested-selectors.ts';
import type { Delegate } from './require-delegate.ts';

/** Whom a delegate speaks for, as it says. */
export interface WorkloadRequest {
  readonly selectors: readonly Selector[];
  /** 0 for none. */
  readonly pid: number;
}

/**
 * The workload of a request: what the delegate says it is, or what the process with that number is.
 *
 * @throws SpiffeError `ARGUMENT_INVALID`, `SELECTOR_INVALID`, and as {@link holdProcess}
 */
export async function findWorkload(
  { selectors, pid }: WorkloadRequest,
  { signal, method }: CallContext,
  { spiffeId, pid: delegatePid }: Pick<Delegate, 'spiffeId' | 'pid'>,
  { attest, reattestSeconds, log }: DelegationDeps,
): Promise<HeldProcess> {
  if (pid !== 0 && selectors.length > 0) {
    throw new SpiffeError('ARGUMENT_INVALID', 'give selectors or a process ID, not both');
  }
  if (pid === 0 && selectors.length === 0) {
    throw new SpiffeError('ARGUMENT_INVALID', 'give selectors or a process ID that is not zero');
  }
  const told = { delegate: spiffeId, delegate_pid: delegatePid, method: method.slice(method.lastIndexOf('/') + 1) };
  if (pid === 0) {
    const said = requestedSelectors(selectors);
    log.info('a delegate asks for a workload', { ...told, selectors: said.length });
    return { selectors: said, check: () => {}, [Symbol.dispose]: () => {} };
  }
  log.info('a delegate asks for a workload', { ...told, pid });
  return await holdProcess(pid, attest, { seconds: reattestSeconds, isSilence: isSilentAttestor, call: signal });
}
