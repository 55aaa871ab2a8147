import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { SVIDStoreDefinition } from '../../src/gen/spire/plugin/agent/svidstore/v1/svidstore.ts';
import { WorkloadAttestorDefinition } from '../../src/gen/spire/plugin/agent/workloadattestor/v1/workloadattestor.ts';
import { BundlePublisherDefinition } from '../../src/gen/spire/plugin/server/bundlepublisher/v1/bundlepublisher.ts';
import { CredentialComposerDefinition } from '../../src/gen/spire/plugin/server/credentialcomposer/v1/credentialcomposer.ts';
import { NotifierDefinition } from '../../src/gen/spire/plugin/server/notifier/v1/notifier.ts';
import { UpstreamAuthorityDefinition } from '../../src/gen/spire/plugin/server/upstreamauthority/v1/upstreamauthority.ts';
import { ConfigDefinition } from '../../src/gen/spire/service/common/config/v1/config.ts';
import {
  defineBundlePublisher,
  defineCredentialComposer,
  defineNotifier,
  defineSvidStore,
  defineUpstreamAuthority,
  defineWorkloadAttestor,
  type Plugin,
  type PluginContext,
} from '../../src/plugin-sdk/index.ts';
import { PluginServer } from '../../src/plugin-sdk/plugin-server.ts';
import { RpcChannel } from '../../src/rpc/channel.ts';
import { createClient } from '../../src/rpc/client.ts';
import { parseHandshake } from '../../src/rpc/handshake.ts';
import { toWireBundle } from '../../src/rpc/plugin-bundle.ts';
import { emptyBundle } from '../../src/spiffe/bundle.ts';
import { Status } from '../../src/spiffe/status.ts';
import { parseTrustDomain } from '../../src/spiffe/trust-domain.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../harness/temporary-folder.ts';

/** What the functions below were handed, last. */
let given: { readonly state: string; readonly context: PluginContext } | undefined;
let left = 0;
const take = (state: string, context: PluginContext) => {
  given = { state, context };
};
const common = { config: z.strictObject({}), configure: () => 'the state' };
const bundle = toWireBundle(emptyBundle(parseTrustDomain('example.org')));
const spiffeId = 'spiffe://example.org/web';
const name = {
  ...{ country: [], organization: [], organizationalUnit: [], locality: [], province: [], streetAddress: [] },
  ...{ postalCode: [], serialNumber: '', commonName: '', extraNames: [] },
};

const upstreamAuthority = defineUpstreamAuthority({
  ...common,
  name: 'u',
  async *mintX509Ca(_request, state, context) {
    take(state, context);
    try {
      yield { certificates: [Buffer.of(1)], roots: [{ certificate: Buffer.of(2), tainted: true }] };
      await new Promise((resolve) => context.signal.addEventListener('abort', resolve, { once: true }));
    } finally {
      left++;
    }
  },
  async *publishJwtKey(key, state, context) {
    take(state, context);
    yield [key];
  },
  async *subscribeToLocalBundle(state, context) {
    take(state, context);
    yield { x509Authorities: [], jwtAuthorities: [] };
  },
});

const svid = { spiffeID: spiffeId, certChain: [], privateKey: new Uint8Array(), bundle: [], expiresAt: 0n };
const jwtKey = { keyId: 'k', publicKey: Buffer.of(1), expiresAt: 0n, tainted: false };

const kinds: readonly (readonly [string, Plugin, (channel: RpcChannel) => Promise<unknown>])[] = [
  [
    'mintX509Ca',
    upstreamAuthority,
    async (channel) => {
      await using call = createClient(UpstreamAuthorityDefinition, channel).mintX509CAAndSubscribe({
        csr: new Uint8Array(),
        preferredTtl: 0,
      });
      return await call.receive();
    },
  ],
  [
    'publishJwtKey',
    upstreamAuthority,
    async (channel) => {
      await using call = createClient(UpstreamAuthorityDefinition, channel).publishJWTKeyAndSubscribe({ jwtKey });
      return await call.receive();
    },
  ],
  [
    'subscribeToLocalBundle',
    upstreamAuthority,
    async (channel) => {
      await using call = createClient(UpstreamAuthorityDefinition, channel).subscribeToLocalBundle({});
      return await call.receive();
    },
  ],
  [
    'notifier',
    defineNotifier({ ...common, name: 'n', bundleUpdated: async (_bundle, state, context) => take(state, context) }),
    (channel) =>
      createClient(NotifierDefinition, channel).notify({ event: { $case: 'bundleUpdated', value: { bundle } } }),
  ],
  [
    'bundle publisher',
    defineBundlePublisher({
      ...common,
      name: 'b',
      publishBundle: async (_bundle, state, context) => take(state, context),
    }),
    (channel) => createClient(BundlePublisherDefinition, channel).publishBundle({ bundle }),
  ],
  [
    'credential composer',
    defineCredentialComposer({
      ...common,
      name: 'c',
      async composeServerX509Svid(attributes, state, context) {
        take(state, context);
        return attributes;
      },
    }),
    (channel) =>
      createClient(CredentialComposerDefinition, channel).composeServerX509SVID({
        attributes: { subject: name, dnsSans: [], extraExtensions: [] },
      }),
  ],
  [
    'SVID store',
    defineSvidStore({
      ...common,
      name: 's',
      putX509Svid: async (_stored, state, context) => take(state, context),
      deleteX509Svid: async () => {},
    }),
    (channel) => createClient(SVIDStoreDefinition, channel).putX509SVID({ svid, metadata: [], federatedBundles: {} }),
  ],
  [
    'workload attestor, by reference',
    defineWorkloadAttestor({
      ...common,
      name: 'w',
      attest: async () => [],
      async attestReference(_reference, state, context) {
        take(state, context);
        return [];
      },
    }),
    (channel) =>
      createClient(WorkloadAttestorDefinition, channel).attestReference({
        reference: { typeUrl: 'example', value: new Uint8Array() },
      }),
  ],
];

let folder: TemporaryFolder;
beforeAll(async () => {
  folder = await createTemporaryFolder();
});
afterAll(() => folder[Symbol.asyncDispose]());

async function start(plugin: Plugin) {
  const stack = new AsyncDisposableStack();
  const server = await PluginServer.start(plugin, {
    environment: { [plugin.type]: plugin.type, PLUGIN_UNIX_SOCKET_DIR: folder.path },
    logSink: () => {},
    onShutdown: () => {},
  });
  stack.use(server);
  const channel = stack.use(RpcChannel.unix(parseHandshake(server.handshake).address));
  const configure = () =>
    createClient(ConfigDefinition, channel).configure({
      coreConfiguration: { trustDomain: 'example.org' },
      hclConfiguration: '',
    });
  return { channel, configure, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

describe.each(kinds)('%s', (_kind, plugin, call) => {
  test('answers nothing before it is configured, then hands its state and surroundings on', async () => {
    await using running = await start(plugin);
    await expect(call(running.channel)).rejects.toMatchObject({
      status: Status.FailedPrecondition,
      message: 'not configured',
    });
    await running.configure();
    given = undefined;
    await call(running.channel);
    expect(given).toEqual({
      state: 'the state',
      context: expect.objectContaining({
        trustDomain: 'example.org',
        signal: expect.any(AbortSignal),
        log: expect.anything(),
        host: expect.anything(),
      }),
    });
  });
});

test('a stream that its host leaves runs to the end of its function', async () => {
  await using running = await start(upstreamAuthority);
  await running.configure();
  const before = left;
  const call = createClient(UpstreamAuthorityDefinition, running.channel).mintX509CAAndSubscribe({
    csr: new Uint8Array(),
    preferredTtl: 0,
  });
  expect(await call.receive()).toEqual({
    x509CaChain: [{ asn1: Buffer.of(1), tainted: false }],
    upstreamX509Roots: [{ asn1: Buffer.of(2), tainted: true }],
  });
  call.cancel();
  await expect.poll(() => left).toBe(before + 1);
});
