import { fileURLToPath } from 'node:url';
import type { PluginConfig } from '../../src/config/plugins.ts';
import { MetricsDefinition } from '../../src/gen/spire/hostservice/common/metrics/v1/metrics.ts';
import { AgentStoreDefinition } from '../../src/gen/spire/hostservice/server/agentstore/v1/agentstore.ts';
import { IdentityProviderDefinition } from '../../src/gen/spire/hostservice/server/identityprovider/v1/identityprovider.ts';
import { Logger, type LogRecord } from '../../src/log/logger.ts';
import { type CatalogOptions, PluginCatalog } from '../../src/plugin-host/catalog.ts';
import { toWireBundle } from '../../src/rpc/plugin-bundle.ts';
import { bindService } from '../../src/rpc/service.ts';
import { SpiffeError } from '../../src/spiffe/error.ts';
import { parseTrustDomain } from '../../src/spiffe/trust-domain.ts';
import { TestAuthority } from '../../src/testing/test-authority.ts';
import { buildGo } from '../harness/go.ts';

const MODULE = fileURLToPath(new URL('../interop/go-plugins', import.meta.url));

export type GoPlugin =
  | 'server-node-attestor'
  | 'agent-node-attestor'
  | 'key-manager'
  | 'workload-attestor'
  | 'upstream-authority'
  | 'notifier'
  | 'bundle-publisher'
  | 'credential-composer'
  | 'naming-composer'
  | 'svid-store'
  | 'file-store';

/** Each with spire-plugin-sdk v1.15.2; the first go-plugin is the one that this SDK asks for. */
export type GoPluginVersion = '1.4.0' | '1.8.0';

/** One way to build and to run a Go plugin. Below go-plugin v1.4.4 AutoMTLS does not reach the host services. */
export const GO_BUILDS = [
  { goPluginVersion: '1.4.0', autoMtls: false },
  { goPluginVersion: '1.4.0', autoMtls: true },
  { goPluginVersion: '1.8.0', autoMtls: false },
  { goPluginVersion: '1.8.0', autoMtls: true },
] as const satisfies readonly GoBuild[];

export const GO_BUILDS_WITH_HOST_SERVICES = GO_BUILDS.filter(
  ({ goPluginVersion, autoMtls }) => goPluginVersion !== '1.4.0' || !autoMtls,
);

export interface GoBuild {
  readonly goPluginVersion: GoPluginVersion;
  readonly autoMtls: boolean;
}

export async function goPlugin(name: GoPlugin, version: GoPluginVersion = '1.4.0'): Promise<string> {
  return await buildGo(MODULE, name, version === '1.8.0' ? 'go-plugin-1.8.mod' : 'go.mod');
}

export function pluginConfig(config: Partial<PluginConfig> & Pick<PluginConfig, 'type' | 'name'>): PluginConfig {
  return { args: [], data: undefined, enabled: true, autoMtls: false, ...config };
}

/** A host with an agent store that knows the agents it is told, an identity of its own, and metrics that are noted. */
export class TestHost {
  readonly records: LogRecord[] = [];
  readonly log = new Logger((record) => this.records.push(record), 'trace');
  readonly metrics: string[] = [];
  readonly knownAgents = new Set<string>();

  readonly hostServices = [
    bindService(AgentStoreDefinition, {
      getAgentInfo: async ({ agentId }) => {
        if (!this.knownAgents.has(agentId)) throw new SpiffeError('AGENT_NOT_FOUND', 'no such agent');
        return { info: { agentId } };
      },
    }),
    bindService(IdentityProviderDefinition, {
      fetchX509Identity: async () => {
        const authority = await TestAuthority.create();
        const { certificates, privateKey } = await authority.issue({ spiffeId: 'spiffe://example.org/spire/server' });
        return {
          identity: {
            certChain: [...certificates],
            privateKey: new Uint8Array(privateKey.export({ type: 'pkcs8', format: 'der' })),
          },
          bundle: toWireBundle(authority.bundle()),
        };
      },
    }),
    bindService(MetricsDefinition, {
      incrCounter: async ({ key }) => this.#note('', key),
      setGauge: async ({ key }) => this.#note('gauge ', key),
      emitKey: async ({ key }) => this.#note('key ', key),
      addSample: async ({ key }) => this.#note('sample ', key),
      measureSince: async ({ key }) => this.#note('time ', key),
    }),
  ];

  #note(kind: string, key: readonly string[]) {
    this.metrics.push(kind + key.join('.'));
    return {};
  }

  options(side: 'server' | 'agent', plugins: readonly PluginConfig[]): CatalogOptions {
    return {
      side,
      plugins,
      trustDomain: parseTrustDomain('example.org'),
      builtins: () => undefined,
      hostServices: this.hostServices,
      log: this.log,
    };
  }

  async load(
    side: 'server' | 'agent',
    plugins: readonly PluginConfig[],
    more: Partial<CatalogOptions> = {},
  ): Promise<PluginCatalog> {
    return await PluginCatalog.load({ ...this.options(side, plugins), ...more });
  }
}

export const SQL = pluginConfig({ type: 'DataStore', name: 'sql' });
export const JOIN_TOKEN = pluginConfig({ type: 'NodeAttestor', name: 'join_token' });
