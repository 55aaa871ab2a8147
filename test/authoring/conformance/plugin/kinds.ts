import type { BoundService } from '../../../../src/rpc/service.ts';
import { keyManager } from './key-manager.ts';
import { agentNodeAttestor, serverNodeAttestor } from './node-attestors.ts';
import { bundlePublisher, credentialComposer, notifier, svidStore } from './receivers.ts';
import type { PluginState } from './state.ts';
import { upstreamAuthority } from './upstream-authority.ts';
import { workloadAttestor } from './workload-attestor.ts';

export function kindServices(kind: string, state: PluginState): readonly BoundService[] {
  switch (kind) {
    case 'notifier':
      return [notifier(state)];
    case 'key-manager':
      return [keyManager(state)];
    case 'workload-attestor':
      return [workloadAttestor(state)];
    case 'svid-store':
      return [svidStore(state)];
    case 'bundle-publisher':
      return [bundlePublisher(state)];
    case 'credential-composer':
      return [credentialComposer(state)];
    case 'upstream-authority':
      return [upstreamAuthority(state)];
    case 'server-node-attestor':
      return [serverNodeAttestor(state)];
    case 'agent-node-attestor':
      return [agentNodeAttestor(state)];
    default:
      throw new Error(`no kind ${kind}`);
  }
}
