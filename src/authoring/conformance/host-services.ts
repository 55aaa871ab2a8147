import { MetricsDefinition } from '../../gen/spire/hostservice/common/metrics/v1/metrics.ts';
import { AgentStoreDefinition } from '../../gen/spire/hostservice/server/agentstore/v1/agentstore.ts';
import { IdentityProviderDefinition } from '../../gen/spire/hostservice/server/identityprovider/v1/identityprovider.ts';
import type { PluginSide } from '../../rpc/go-plugin.ts';
import { type BoundService, bindService } from '../../rpc/service.ts';
import { SpiffeError } from '../../spiffe/error.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';
import { ThrowawayAuthority } from './throwaway-authority.ts';

/** The host services of a program in order of work: no agent is known, every measurement is taken. */
export class KitHostServices {
  readonly services: readonly BoundService[];
  /** Calls of the plugin so far. */
  calls = 0;

  constructor(side: PluginSide, trustDomain: TrustDomain) {
    const measure = async () => {
      this.calls++;
      return {};
    };
    const metrics = bindService(MetricsDefinition, {
      setGauge: measure,
      emitKey: measure,
      incrCounter: measure,
      addSample: measure,
      measureSince: measure,
    });
    const identityProvider = bindService(IdentityProviderDefinition, {
      fetchX509Identity: async () => {
        this.calls++;
        const authority = await ThrowawayAuthority.of(trustDomain);
        const { certificates, privateKey } = await authority.issue(`spiffe://${trustDomain}/spire/server`);
        const identity = { certChain: [...certificates], privateKey };
        return { identity, bundle: authority.wireBundle(1n) };
      },
    });
    const agentStore = bindService(AgentStoreDefinition, {
      getAgentInfo: async () => {
        this.calls++;
        throw new SpiffeError('AGENT_NOT_FOUND', 'no such agent');
      },
    });
    this.services = side === 'server' ? [identityProvider, agentStore, metrics] : [metrics];
  }

  get names(): readonly string[] {
    return this.services.map(({ definition }) => definition.fullName);
  }
}
