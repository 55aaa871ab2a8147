import type { AgentRepository } from '../datastore/agent-repository.ts';
import { AgentStoreDefinition } from '../gen/spire/hostservice/server/agentstore/v1/agentstore.ts';
import { IdentityProviderDefinition } from '../gen/spire/hostservice/server/identityprovider/v1/identityprovider.ts';
import { LateHostService } from '../plugin-host/late-host-service.ts';
import { toWireBundle } from '../rpc/plugin-bundle.ts';
import type { BoundService } from '../rpc/service.ts';
import { parseSpiffeId } from '../spiffe/spiffe-id.ts';
import type { BundleKeeper } from './bundle-keeper.ts';
import type { ServerIdentity } from './server-identity.ts';

/** What the server offers its plugins, in SPIRE's order, `Metrics` after these. They answer once the server is wired. */
export class ServerHostServices {
  readonly #identityProvider = new LateHostService(IdentityProviderDefinition);
  readonly #agentStore = new LateHostService(AgentStoreDefinition);
  readonly services: readonly BoundService[] = [this.#identityProvider.service, this.#agentStore.service];

  wire({
    agents,
    identity,
    bundle,
  }: {
    agents: AgentRepository;
    identity: ServerIdentity;
    bundle: BundleKeeper;
  }): void {
    this.#agentStore.wire({
      async getAgentInfo({ agentId }) {
        const { spiffeId } = await agents.get(parseSpiffeId(agentId));
        return { info: { agentId: spiffeId } };
      },
    });
    this.#identityProvider.wire({
      async fetchX509Identity() {
        const { chain, privateKey } = identity.current;
        return {
          identity: {
            certChain: [...chain],
            privateKey: new Uint8Array(privateKey.export({ type: 'pkcs8', format: 'der' })),
          },
          bundle: toWireBundle(bundle.current),
        };
      },
    });
  }
}
