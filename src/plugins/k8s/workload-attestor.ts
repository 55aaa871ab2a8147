import { setTimeout } from 'node:timers/promises';
import { defineWorkloadAttestor, isSpiffeError, SpiffeError, type WorkloadContext } from '../../plugin-sdk/index.ts';
import { ProcessFolder } from '../process/process-folder.ts';
import { k8sConfig } from './config.ts';
import { findPodContainer, type PodContainer } from './find-pod-container.ts';
import { containersOf, type Pod } from './parse-pod-list.ts';
import { containerSelectors, podSelectors } from './selectors.ts';
import { type K8sState, openState } from './state.ts';

/** A kubelet that is away for longer than a few attempts is away. */
const MAX_FAILURES = 4;

/** Tells which pod and container a process is in, as the kubelet of this node knows them. */
export const k8sWorkloadAttestor = defineWorkloadAttestor({
  name: 'k8s',
  config: k8sConfig,
  configure: openState,
  async attest(pid, state, context) {
    using process = ProcessFolder.open(pid);
    const place = await findPodContainer(process, state.cgroupRoot);
    if (state.isVerbose) {
      context.log.debug('looked for the container of a process', {
        pid,
        container_id: place?.containerId,
        pod_uid: place?.podUid,
      });
    }
    const values = place === undefined ? [] : await attestPlace(place, state, context);
    process.requireAlive();
    return values;
  },
});

async function attestPlace(place: PodContainer, state: K8sState, { signal }: WorkloadContext) {
  // A container beside ours may be no pod's at all, where nothing is Kubernetes: then nothing is waited for.
  const attempts = place.podUid === undefined ? 1 : state.attempts;
  let failures = 0;
  for (let attempt = 1; ; attempt++) {
    try {
      const found = findSelectors(await state.podList.get(), place, state);
      if (found !== undefined) return found;
      failures = 0;
      if (attempt === attempts) return notListed(place, attempts);
    } catch (error) {
      failures += 1;
      if (!isSpiffeError(error, 'UNAVAILABLE') || failures === MAX_FAILURES || attempt === attempts) throw error;
    }
    await setTimeout(state.retryIntervalMs, undefined, { signal });
  }
}

function findSelectors(
  pods: readonly Pod[],
  { containerId, podUid }: PodContainer,
  { ofContainers }: K8sState,
): readonly string[] | undefined {
  const isContainer = (status: { readonly containerId: string | undefined }) => status.containerId === containerId;
  const pod = pods.find((each) => (podUid === undefined ? containersOf(each).some(isContainer) : each.uid === podUid));
  if (pod === undefined) return undefined;
  if (!ofContainers) return podSelectors(pod);
  const container = containersOf(pod).find(isContainer);
  return container && [...podSelectors(pod), ...containerSelectors(container)];
}

function notListed({ containerId, podUid }: PodContainer, attempts: number): readonly string[] {
  if (podUid === undefined) return [];
  throw new SpiffeError(
    'WORKLOAD_UNREADABLE',
    `the kubelet did not list container ${containerId} of pod ${podUid} in ${attempts} attempts: it lists the containers of a pod, not its sandbox; raise max_poll_attempts or poll_retry_interval where it is slow`,
  );
}
