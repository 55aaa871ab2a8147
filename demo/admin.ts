import { AgentDefinition } from '../src/gen/spire/api/server/agent/v1/agent.ts';
import { BundleDefinition } from '../src/gen/spire/api/server/bundle/v1/bundle.ts';
import { EntryDefinition } from '../src/gen/spire/api/server/entry/v1/entry.ts';
import { Entry } from '../src/gen/spire/api/types/types.ts';
import { RpcChannel } from '../src/rpc/channel.ts';
import { createClient } from '../src/rpc/client.ts';
import { encodePem } from '../src/x509/pem.ts';
import { TRUST_DOMAIN } from './configuration.ts';
import { DemoError } from './demo-error.ts';

const id = (path: string) => ({ trustDomain: TRUST_DOMAIN, path });

/** What an operator does on the admin socket. */
export class Admin implements Disposable {
  readonly #channel: RpcChannel;

  constructor(socketPath: string) {
    this.#channel = RpcChannel.unix(socketPath);
  }

  /** PEM, for the agent to know the server by. */
  async bundlePem(): Promise<string> {
    const { x509Authorities } = await createClient(BundleDefinition, this.#channel).getBundle({
      outputMask: undefined,
    });
    return x509Authorities.map(({ asn1 }) => encodePem('CERTIFICATE', asn1)).join('');
  }

  /** A node alias for every node with `nodeSelector`, and an entry below it. @returns the workload's SPIFFE ID. */
  async entitle(
    nodeSelector: { type: string; value: string },
    workloadSelector: { type: string; value: string },
  ): Promise<string> {
    const entries = [
      Entry.fromPartial({ parentId: id('/spire/server'), spiffeId: id('/node'), selectors: [nodeSelector] }),
      Entry.fromPartial({ parentId: id('/node'), spiffeId: id('/workload'), selectors: [workloadSelector] }),
    ];
    const { results } = await createClient(EntryDefinition, this.#channel).batchCreateEntry({
      entries,
      outputMask: undefined,
    });
    for (const { status } of results) {
      if (status?.code !== 0) throw new DemoError(`the server refused an entry: ${status?.message}`);
    }
    return `spiffe://${TRUST_DOMAIN}/workload`;
  }

  /** The one agent that attested. */
  async findAgent(): Promise<{ agentId: string; agentSelectors: readonly string[] }> {
    const { agents } = await createClient(AgentDefinition, this.#channel).listAgents({
      filter: undefined,
      outputMask: undefined,
      pageSize: 0,
      pageToken: '',
    });
    const [agent] = agents;
    if (agent?.id === undefined) throw new DemoError('the server knows no agent: see its log');
    return {
      agentId: `spiffe://${agent.id.trustDomain}${agent.id.path}`,
      agentSelectors: agent.selectors.map(({ type, value }) => `${type}:${value}`),
    };
  }

  [Symbol.dispose](): void {
    this.#channel[Symbol.dispose]();
  }
}
