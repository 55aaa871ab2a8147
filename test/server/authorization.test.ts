import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { PluginsDefinition } from '../../src/gen/assayer/plugin/v1/plugin.ts';
import { HealthDefinition } from '../../src/gen/grpc/health/v1/health.ts';
import { ServerReflectionDefinition } from '../../src/gen/grpc/reflection/v1/reflection.ts';
import { ServerReflectionDefinition as ServerReflectionAlphaDefinition } from '../../src/gen/grpc/reflection/v1alpha/reflection.ts';
import { AgentDefinition } from '../../src/gen/spire/api/server/agent/v1/agent.ts';
import { BundleDefinition } from '../../src/gen/spire/api/server/bundle/v1/bundle.ts';
import { DebugDefinition } from '../../src/gen/spire/api/server/debug/v1/debug.ts';
import { EntryDefinition } from '../../src/gen/spire/api/server/entry/v1/entry.ts';
import { LocalAuthorityDefinition } from '../../src/gen/spire/api/server/localauthority/v1/localauthority.ts';
import { LoggerDefinition } from '../../src/gen/spire/api/server/logger/v1/logger.ts';
import { SVIDDefinition } from '../../src/gen/spire/api/server/svid/v1/svid.ts';
import { TrustDomainDefinition } from '../../src/gen/spire/api/server/trustdomain/v1/trustdomain.ts';
import { Entry } from '../../src/gen/spire/api/types/types.ts';
import { RpcChannel } from '../../src/rpc/channel.ts';
import type { ServiceDefinition } from '../../src/rpc/definition.ts';
import { Status } from '../../src/spiffe/status.ts';
import { TestServer } from '../harness/running-server.ts';
import { createTemporaryFolder } from '../harness/temporary-folder.ts';
import { apiId, attestByJoinToken, mintedCaller, TlsCaller } from './callers.ts';
import { rawCall } from './raw-call.ts';

const resources = new AsyncDisposableStack();
let clockOffsetMs = 0;
/** Longer than the SVIDs that are minted here live. */
const TWO_HOURS_MS = 7_200_000;

const CALLERS = [
  'local',
  'anonymous',
  'workload',
  'agent',
  'adminById',
  'adminByEntry',
  'expiredAdmin',
  'downstream',
] as const;
type Caller = (typeof CALLERS)[number];
const channels = new Map<Caller, RpcChannel>();

const ADMIN: readonly Caller[] = ['local', 'adminById', 'adminByEntry'];
const AGENT: readonly Caller[] = ['agent'];
const ANY: readonly Caller[] = CALLERS;
const LOCAL: readonly Caller[] = ['local'];
const DOWNSTREAM: readonly Caller[] = ['downstream'];

// Inventory 2.3, R001 to R065: who may call.
const POLICY: readonly (readonly [ServiceDefinition, string, readonly Caller[]])[] = [
  [AgentDefinition, 'CountAgents', ADMIN],
  [AgentDefinition, 'ListAgents', ADMIN],
  [AgentDefinition, 'GetAgent', ADMIN],
  [AgentDefinition, 'DeleteAgent', ADMIN],
  [AgentDefinition, 'BanAgent', ADMIN],
  [AgentDefinition, 'CreateJoinToken', ADMIN],
  [AgentDefinition, 'AttestAgent', ANY],
  [AgentDefinition, 'RenewAgent', AGENT],
  [AgentDefinition, 'PostStatus', AGENT],
  [BundleDefinition, 'CountBundles', ADMIN],
  [BundleDefinition, 'GetBundle', ANY],
  [BundleDefinition, 'GetFederatedBundle', [...ADMIN, 'agent']],
  [BundleDefinition, 'AppendBundle', ADMIN],
  [BundleDefinition, 'ListFederatedBundles', ADMIN],
  [BundleDefinition, 'BatchCreateFederatedBundle', ADMIN],
  [BundleDefinition, 'BatchUpdateFederatedBundle', ADMIN],
  [BundleDefinition, 'BatchSetFederatedBundle', ADMIN],
  [BundleDefinition, 'BatchDeleteFederatedBundle', ADMIN],
  [BundleDefinition, 'PublishWITAuthority', DOWNSTREAM],
  [TrustDomainDefinition, 'ListFederationRelationships', ADMIN],
  [TrustDomainDefinition, 'GetFederationRelationship', ADMIN],
  [TrustDomainDefinition, 'BatchCreateFederationRelationship', ADMIN],
  [TrustDomainDefinition, 'BatchUpdateFederationRelationship', ADMIN],
  [TrustDomainDefinition, 'BatchDeleteFederationRelationship', ADMIN],
  [TrustDomainDefinition, 'RefreshBundle', ADMIN],
  [EntryDefinition, 'CountEntries', ADMIN],
  [EntryDefinition, 'ListEntries', ADMIN],
  [EntryDefinition, 'GetEntry', ADMIN],
  [EntryDefinition, 'BatchCreateEntry', ADMIN],
  [EntryDefinition, 'BatchUpdateEntry', ADMIN],
  [EntryDefinition, 'BatchDeleteEntry', ADMIN],
  [EntryDefinition, 'GetAuthorizedEntries', AGENT],
  [EntryDefinition, 'SyncAuthorizedEntries', AGENT],
  [SVIDDefinition, 'MintX509SVID', ADMIN],
  [SVIDDefinition, 'MintJWTSVID', ADMIN],
  [SVIDDefinition, 'MintWITSVID', ADMIN],
  [SVIDDefinition, 'BatchNewX509SVID', AGENT],
  [SVIDDefinition, 'BatchNewWITSVID', AGENT],
  [SVIDDefinition, 'NewJWTSVID', AGENT],
  [SVIDDefinition, 'NewDownstreamX509CA', DOWNSTREAM],
  [BundleDefinition, 'PublishJWTAuthority', DOWNSTREAM],
  ...['JWT', 'X509'].flatMap((kind) =>
    ['Get*AuthorityState', 'Prepare*Authority', 'Activate*Authority', 'Taint*Authority', 'Revoke*Authority'].map(
      (method) => [LocalAuthorityDefinition, method.replace('*', kind), ADMIN] as const,
    ),
  ),
  [LocalAuthorityDefinition, 'TaintX509UpstreamAuthority', ADMIN],
  [LocalAuthorityDefinition, 'RevokeX509UpstreamAuthority', ADMIN],
  [LocalAuthorityDefinition, 'GetWITAuthorityState', ADMIN],
  [LocalAuthorityDefinition, 'PrepareWITAuthority', ADMIN],
  [LocalAuthorityDefinition, 'ActivateWITAuthority', ADMIN],
  [LocalAuthorityDefinition, 'TaintWITAuthority', ADMIN],
  [LocalAuthorityDefinition, 'RevokeWITAuthority', ADMIN],
  [DebugDefinition, 'GetInfo', LOCAL],
  [LoggerDefinition, 'GetLogger', LOCAL],
  [LoggerDefinition, 'SetLogLevel', LOCAL],
  [LoggerDefinition, 'ResetLogLevel', LOCAL],
  [PluginsDefinition, 'ListPlugins', LOCAL],
  [PluginsDefinition, 'ReloadPlugin', LOCAL],
  [HealthDefinition, 'Check', LOCAL],
  [HealthDefinition, 'List', LOCAL],
  [HealthDefinition, 'Watch', LOCAL],
  [ServerReflectionDefinition, 'ServerReflectionInfo', LOCAL],
  [ServerReflectionAlphaDefinition, 'ServerReflectionInfo', LOCAL],
];

beforeAll(async () => {
  const folder = resources.use(await createTemporaryFolder());
  const server = resources.use(
    await TestServer.start({
      folder: folder.path,
      settings: 'admin_ids = ["spiffe://example.org/chief"]',
      clock: () => new Date(Date.now() + clockOffsetMs),
    }),
  );
  const entry = (path: string, rights: { admin?: boolean; downstream?: boolean; expiresAt?: bigint }) =>
    Entry.fromPartial({
      spiffeId: apiId(path),
      parentId: apiId('/node'),
      selectors: [{ type: 'unix', value: 'uid:0' }],
      ...rights,
    });
  const { results } = await server.admin(EntryDefinition).batchCreateEntry({
    entries: [
      entry('/deputy', { admin: true }),
      entry('/former', { admin: true, expiresAt: 1n }),
      entry('/below', { downstream: true }),
    ],
    outputMask: undefined,
  });
  expect(results.map(({ status }) => status?.code)).toEqual([0, 0, 0]);
  const tls = {
    anonymous: new TlsCaller(server),
    workload: await mintedCaller(server, '/web'),
    agent: await attestByJoinToken(server),
    adminById: await mintedCaller(server, '/chief'),
    adminByEntry: await mintedCaller(server, '/deputy'),
    expiredAdmin: await mintedCaller(server, '/former'),
    downstream: await mintedCaller(server, '/below'),
  };
  channels.set('local', resources.use(RpcChannel.unix(server.running.socketPath)));
  for (const caller of CALLERS) {
    if (caller !== 'local') channels.set(caller, resources.use(tls[caller]).channel);
  }
});
afterAll(() => resources.disposeAsync());

function call(caller: Caller, service: ServiceDefinition, method: string): Promise<number> {
  const channel = channels.get(caller);
  if (channel === undefined) throw new Error(`no caller ${caller}`);
  return rawCall(channel, `/${service.fullName}/${method}`, new Uint8Array());
}

describe.each(POLICY)('%s', (service, method, allowed) => {
  test(`${service.fullName}.${method} is for ${allowed.join(', ')}`, async () => {
    const reached: Caller[] = [];
    for (const caller of CALLERS) {
      if ((await call(caller, service, method)) !== Status.PermissionDenied) reached.push(caller);
    }
    expect(reached).toEqual(CALLERS.filter((caller) => allowed.includes(caller)));
  });
});

test.each(['adminById', 'adminByEntry'] as const)(
  '%s loses its rights with its SVID, on a connection that stays',
  async (caller) => {
    expect(await call(caller, EntryDefinition, 'CountEntries')).toBe(Status.Ok);
    clockOffsetMs = TWO_HOURS_MS;
    try {
      expect(await call(caller, EntryDefinition, 'CountEntries')).toBe(Status.PermissionDenied);
      expect(await call(caller, BundleDefinition, 'GetBundle')).toBe(Status.Ok);
    } finally {
      clockOffsetMs = 0;
    }
  },
);

test('the policy has every method that the server implements', async () => {
  const services = [
    AgentDefinition,
    BundleDefinition,
    EntryDefinition,
    SVIDDefinition,
    DebugDefinition,
    LocalAuthorityDefinition,
    LoggerDefinition,
    HealthDefinition,
    PluginsDefinition,
    TrustDomainDefinition,
    ServerReflectionDefinition,
    ServerReflectionAlphaDefinition,
  ];
  const methods = services.flatMap((service: ServiceDefinition) =>
    Object.values(service.methods).map(({ name }) => [service, name] as const),
  );
  const implemented = [];
  for (const [service, name] of methods) {
    const code = await call('anonymous', service, name); // who may call learns that some are not implemented
    if (code !== Status.Unimplemented) implemented.push(`${service.fullName} ${name}`);
  }
  expect(implemented.sort()).toEqual(POLICY.map(([service, name]) => `${service.fullName} ${name}`).sort());
});

test.each(CALLERS)('an unknown method is unimplemented for %s', async (caller) => {
  expect(await call(caller, { ...EntryDefinition }, 'Nothing')).toBe(Status.Unimplemented);
});
