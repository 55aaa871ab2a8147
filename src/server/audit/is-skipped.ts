import type { AuditSkip } from '../../config/audit-log-config.ts';
import type { CallContext } from '../../rpc/call.ts';
import { Status } from '../../spiffe/status.ts';
import type { Caller } from '../authorization/caller.ts';

/** Whether a record meets all conditions of what is to be left out. Whoever was let in as nothing is nobody. */
export function isSkipped(
  { methods, callers, status }: AuditSkip,
  { method, peer }: Pick<CallContext, 'method' | 'peer'>,
  caller: Caller | undefined,
  code: number,
): boolean {
  if (methods !== undefined && !methods.includes(method)) return false;
  if (status !== undefined && !status.includes(code === Status.Ok ? 'success' : 'error')) return false;
  if (callers === undefined) return true;
  const spiffeId = peer.kind === 'tls' ? peer.spiffeId : undefined;
  return callers.includes(caller?.as ?? 'nobody') || (spiffeId !== undefined && callers.includes(spiffeId));
}
