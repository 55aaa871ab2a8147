import { WhyDefinition } from '../../gen/assayer/agent/why/v1/why.ts';
import { isOnThisNode } from '../../plugin-host/on-this-node.ts';
import { isOwnUser } from '../../plugin-host/plugins-service.ts';
import type { Peer, UnixPeer } from '../../rpc/peer.ts';
import { openProcess } from '../../rpc/pidfd.ts';
import { type BoundService, bindService } from '../../rpc/service.ts';
import { SpiffeError } from '../../spiffe/error.ts';
import { withoutSecrets } from '../workloads/without-secrets.ts';
import { toWhyResponse } from './to-why-response.ts';
import { UserLimits } from './user-limits.ts';
import { withoutOthersEntries } from './without-others-entries.ts';
import type { WorkloadExplainer } from './workload-explainer.ts';

export interface WhyServiceOptions {
  readonly explainer: Pick<WorkloadExplainer, 'explain'>;
  /** Who may ask about every process, and be told of entries that are not for it; by default root and the agent's user. */
  readonly mayAskAll?: (peer: Peer) => boolean;
}

/** Says to people on the node why a process gets an identity or none. SPIRE has nothing like it. */
export function whyService({ explainer, mayAskAll = isOwnUser }: WhyServiceOptions): BoundService {
  const limits = new UserLimits();
  return bindService(WhyDefinition, {
    async explainWorkload({ pid, spiffeId }, { peer, signal }) {
      if (peer.kind !== 'unix') throw new SpiffeError('UNAUTHENTICATED', 'ask over the Unix socket of the agent');
      const wanted = spiffeId === '' ? undefined : spiffeId;
      const isAdministrator = mayAskAll(peer);
      if (!isAdministrator) limits.spend(peer.uid);
      using other = pid === 0 || pid === peer.pid ? undefined : openProcess(requireNumber(pid));
      if (other !== undefined) requireMayAsk(peer, other, isAdministrator);
      const facts = await explainer.explain(other ?? peer, { wanted, isAdministrator, signal });
      const shown = isOwnUser(peer) ? undefined : withoutSecrets;
      return toWhyResponse(isAdministrator ? facts : withoutOthersEntries(facts), shown);
    },
  });
}

const MAX_PID = 2 ** 31 - 1;

function requireNumber(pid: number): number {
  if (pid > 0 && pid <= MAX_PID) return pid;
  throw new SpiffeError('ARGUMENT_INVALID', `process ID ${pid} is not a number from 1 to ${MAX_PID}`);
}

function requireMayAsk(peer: UnixPeer, other: UnixPeer, isAdministrator: boolean): void {
  if (!isOnThisNode(peer.pid) || !peer.isUnchanged()) {
    throw new SpiffeError(
      'PERMISSION_DENIED',
      'you are in a container, which counts processes in its own way: ask on the node itself, or without -pid',
    );
  }
  if (isAdministrator || other.uid === peer.uid) return;
  throw new SpiffeError(
    'PERMISSION_DENIED',
    `process ${other.pid} is not of your user: ask as root, as the agent's user or as its own user`,
  );
}
