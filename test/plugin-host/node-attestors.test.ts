import { hash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { PluginCatalog } from '../../src/plugin-host/catalog.ts';
import type { AgentNodeAttestor } from '../../src/plugin-host/kinds/agent-node-attestor.ts';
import type { ServerNodeAttestor } from '../../src/plugin-host/kinds/server-node-attestor.ts';
import { SpiffeError } from '../../src/spiffe/error.ts';
import { Status } from '../../src/spiffe/status.ts';
import { describeWithGo } from '../harness/requires.ts';
import { GO_BUILDS_WITH_HOST_SERVICES, goPlugin, pluginConfig, SQL, TestHost } from './go-plugins.ts';
import { describePlugins, type Implementation } from './implementations.ts';

const csrPublicKey = Buffer.from('a key of a CSR');
const never: (challenge: Uint8Array) => Promise<Uint8Array> = async () => {
  throw new Error('nobody should be asked');
};

/** As it stands in agent IDs. */
const nameOf = ({ made }: Implementation) => (made === 'go' ? 'go_digest' : 'digest');

function kill(catalog: PluginCatalog, name: string): void {
  process.kill(catalog.plugins.find((plugin) => plugin.name === name)?.pid ?? Number.NaN, 'SIGKILL');
}

describePlugins('a server node attestor', tryServerNodeAttestor, GO_BUILDS_WITH_HOST_SERVICES);

function tryServerNodeAttestor(implementation: Implementation): void {
  const name = nameOf(implementation);
  const host = new TestHost();
  let catalog: PluginCatalog;
  let attestor: ServerNodeAttestor;

  beforeAll(async () => {
    const plugin = await implementation.plugin('server-node-attestor');
    const data = { text: 'print_lines = 2000' };
    catalog = await host.load('server', [
      SQL,
      pluginConfig({ type: 'KeyManager', name: 'km', ...(await implementation.plugin('key-manager')) }),
      pluginConfig({ type: 'NodeAttestor', name, ...plugin, data }),
    ]);
    const found = catalog.findServerNodeAttestor(name);
    if (found === undefined) throw new Error('the attestor was not loaded');
    attestor = found;
  });
  afterAll(async () => {
    await catalog?.[Symbol.asyncDispose]();
  });

  const attest = (payload: string, challenge = never, signal = new AbortController().signal) =>
    attestor.attest(Buffer.from(payload), challenge, {
      csrPublicKey,
      clientAddress: '192.0.2.7',
      forwardedHost: 'spire.example.org',
      signal,
    });
  const digest = (payload: string) => async (challenge: Uint8Array) =>
    hash('sha256', Buffer.concat([challenge, Buffer.from(payload)]), 'buffer');

  test('a node that answers is attested; the plugin sees metadata and host services (§8.2, §8.2a, §6)', async () => {
    const { spiffeId, selectors, canReattest } = await attest('node1', digest('node1'));
    expect(spiffeId).toBe(`spiffe://example.org/spire/agent/${name}/node1`);
    expect(canReattest).toBe(true);
    expect(selectors).toEqual(
      [
        'x-untrusted-forwarded-host:spire.example.org',
        'x-forwarded-client-ip:192.0.2.7',
        `csr:${csrPublicKey.toString('hex')}`,
        'agent-store:NotFound',
      ].map((value) => ({ type: name, value })),
    );
    expect(host.metrics).toContain('attested');
  });

  test('the agent store tells of an agent that is known', async () => {
    host.knownAgents.add(`spiffe://example.org/spire/agent/${name}/node2`);
    const { selectors } = await attest('node2', digest('node2'));
    expect(selectors).toContainEqual({ type: name, value: 'agent-store:OK' });
  });

  test('the identity provider tells who the server is (§6)', async () => {
    const { selectors } = await attest('who-are-you', digest('who-are-you'));
    const value = 'identity:spiffe://example.org/spire/server of example.org';
    expect(selectors).toContainEqual({ type: name, value });
  });

  test('it measures in every way that there is (§6)', async () => {
    await attest('measured', digest('measured'));
    for (const measured of ['gauge readers', 'key shelf', 'sample pages', 'time open'])
      expect(host.metrics).toContain(measured);
  });

  test('a challenge of no length is a challenge (§8.2)', async () => {
    const seen: number[] = [];
    await attest('empty-challenge', async (challenge) => {
      seen.push(challenge.length);
      return await digest('empty-challenge')(challenge);
    });
    expect(seen).toEqual([0]);
  });

  test('a refusal keeps its code and gets the prefix (§9)', async () => {
    await expect(attest('deny')).rejects.toMatchObject({
      status: Status.PermissionDenied,
      message: `nodeattestor(${name}): node is not known`,
    });
  });

  test('an old plugin’s own prefix is not kept beside ours (§9)', async () => {
    await expect(attest('liar', async () => Buffer.from('wrong'))).rejects.toMatchObject({
      status: Status.PermissionDenied,
      message: `nodeattestor(${name}): the answer is wrong`,
    });
  });

  test('an empty payload is refused before the plugin sees it (§8.2)', async () => {
    await expect(attest('')).rejects.toMatchObject({ code: 'ARGUMENT_INVALID' });
  });

  test('a failure of the node passes unchanged', async () => {
    const failure = new SpiffeError('CANCELLED', 'the node went away');
    const attestation = attest('node3', async () => {
      throw failure;
    });
    await expect(attestation).rejects.toBe(failure);
  });

  test('the signal ends an attestation', async () => {
    const controller = new AbortController();
    const asked = Promise.withResolvers<void>();
    const attestation = attest(
      'node4',
      async () => {
        asked.resolve();
        await new Promise((resolve) => controller.signal.addEventListener('abort', resolve));
        return Buffer.of(1);
      },
      controller.signal,
    );
    await asked.promise;
    controller.abort();
    await expect(attestation).rejects.toMatchObject({ status: Status.Cancelled });
  });

  test('its log records become ours, with who wrote them (§10)', () => {
    expect(host.records).toContainEqual(
      expect.objectContaining({
        level: 'info',
        message: 'configured',
        fields: expect.objectContaining({
          plugin_name: name,
          plugin_type: 'NodeAttestor',
          subsystem_name: expect.stringMatching(new RegExp(`^${name}\\.`)),
          external: true,
          trust_domain: 'example.org',
          print_lines: 2000,
        }),
      }),
    );
  });

  test('a plugin that prints 2000 lines a call does not block (§4)', async () => {
    for (let call = 0; call < 5; call++) await attest('printer', digest('printer'));
  });

  test('a plugin that ends between challenge and answer ends the attestation with the reason; the next one goes on (§5)', async () => {
    const answering = attest('node5', async () => {
      kill(catalog, name);
      return Buffer.of(1);
    });
    await expect(answering).rejects.toMatchObject({
      status: Status.Unavailable,
      message: `nodeattestor(${name}): the plugin's process was ended by SIGKILL`,
    });
    await expect(attest('node5', digest('node5'))).resolves.toMatchObject({ canReattest: true });
  });

  if (implementation.made === 'ours') return; // whose types do not let these through

  test.each([
    ['closes early', 'close', /closed the stream before/],
    ['answers with neither field', 'nothing', /neither a challenge nor agent attributes/],
    ['names no SPIFFE ID', 'nameless', /no SPIFFE ID/],
  ])('a plugin that %s is an internal error (§8.2)', async (_what, payload, message) => {
    await expect(attest(payload)).rejects.toMatchObject({
      status: Status.Internal,
      message: expect.stringMatching(message),
    });
  });
}

describeWithGo('configuring a plugin (§5)', () => {
  const host = new TestHost();
  const load = async (data: { text: string }) => {
    const command = await goPlugin('server-node-attestor');
    return await host.load('server', [
      SQL,
      pluginConfig({ type: 'KeyManager', name: 'go_memory', command: await goPlugin('key-manager') }),
      pluginConfig({ type: 'NodeAttestor', name: 'go_digest', command, data }),
    ]);
  };

  test('a refusal of Configure stops the start, with SPIRE’s words', async () => {
    await expect(load({ text: 'refuse = "I do not like it"' })).rejects.toMatchObject({
      code: 'PLUGIN_NOT_LOADED',
      message: 'failed to configure plugin "go_digest": I do not like it',
    });
  });

  test('what is not HCL is the plugin’s to refuse: it gets the text as it is', async () => {
    await expect(load({ text: '} not HCL {' })).rejects.toThrow(
      /failed to configure plugin "go_digest": cannot decode/,
    );
  });

  test('plugin_data for a plugin without configuration is refused', async () => {
    const command = await goPlugin('key-manager');
    const config = pluginConfig({ type: 'KeyManager', name: 'go_memory', command, data: { text: 'a = 1' } });
    await expect(host.load('server', [SQL, config])).rejects.toThrow(/no supported configuration interface found/);
  });

  test('every plugin that fails is named, and none is left', async () => {
    const command = await goPlugin('server-node-attestor');
    const configs = ['one', 'two'].map((name) =>
      pluginConfig({ type: 'NodeAttestor', name, command, data: { text: `refuse = "not ${name}"` } }),
    );
    const keyManager = pluginConfig({ type: 'KeyManager', name: 'km', command: await goPlugin('key-manager') });
    await expect(host.load('server', [SQL, keyManager, ...configs])).rejects.toThrow(
      /plugin "one": not one; .*plugin "two": not two/,
    );
  });
});

describePlugins('an agent node attestor', tryAgentNodeAttestor);

function tryAgentNodeAttestor(implementation: Implementation): void {
  const name = nameOf(implementation);
  const loadWith = async (node: string): Promise<{ catalog: PluginCatalog; attestor: AgentNodeAttestor }> => {
    const catalog = await new TestHost().load('agent', [
      pluginConfig({ type: 'KeyManager', name: 'km', ...(await implementation.plugin('key-manager', 'agent')) }),
      pluginConfig({
        type: 'NodeAttestor',
        name,
        ...(await implementation.plugin('agent-node-attestor')),
        data: { text: `node = "${node}"` },
      }),
      pluginConfig({ type: 'WorkloadAttestor', name: 'any', ...(await implementation.plugin('workload-attestor')) }),
    ]);
    if (catalog.agentNodeAttestor === undefined) throw new Error('the attestor was not loaded');
    return { catalog, attestor: catalog.agentNodeAttestor };
  };
  const { signal } = new AbortController();

  describe('that plays along', () => {
    let catalog: PluginCatalog;
    let attestor: AgentNodeAttestor;
    beforeAll(async () => {
      ({ catalog, attestor } = await loadWith('node1'));
    });
    afterAll(async () => {
      await catalog?.[Symbol.asyncDispose]();
    });

    test('sends its payload first and answers every challenge (§8.3)', async () => {
      await using attestation = attestor.attest({ csrPublicKey, signal });
      expect(Buffer.from(await attestation.payload).toString()).toBe('node1');
      for (const challenge of ['one', 'two', '']) {
        const response = await attestation.respond(Buffer.from(challenge));
        expect(Buffer.from(response).toString('hex')).toBe(hash('sha256', `${challenge}node1`));
      }
    });

    test('refuses a challenge with its own code and the prefix (§9)', async () => {
      await using attestation = attestor.attest({ csrPublicKey, signal });
      await expect(attestation.respond(Buffer.from('refuse'))).rejects.toMatchObject({
        status: Status.InvalidArgument,
        message: `nodeattestor(${name}): the challenge makes no sense`,
      });
    });

    test('ends with its plugin’s process, with the reason; the next one goes on (§5)', async () => {
      await using attestation = attestor.attest({ csrPublicKey, signal });
      await attestation.payload;
      kill(catalog, name);
      await expect(attestation.respond(Buffer.from('one'))).rejects.toMatchObject({
        status: Status.Unavailable,
        message: `nodeattestor(${name}): the plugin's process was ended by SIGKILL`,
      });
      await using next = attestor.attest({ csrPublicKey, signal });
      expect(Buffer.from(await next.payload).toString()).toBe('node1');
    });

    test('an empty answer is an internal error (§8.3)', async () => {
      await using attestation = attestor.attest({ csrPublicKey, signal });
      await expect(attestation.respond(Buffer.from('silence'))).rejects.toMatchObject({
        status: Status.Internal,
        message: expect.stringMatching(/empty challenge response/),
      });
    });
  });

  test.each([
    ['', /empty payload/],
    ['close', /closed the stream before its payload|the attestor gave no payload/],
  ])('a payload %j is an internal error (§8.3)', async (node, message) => {
    const { catalog, attestor } = await loadWith(node);
    await using _catalog = catalog;
    await using attestation = attestor.attest({ csrPublicKey, signal });
    await expect(attestation.payload).rejects.toMatchObject({
      status: Status.Internal,
      message: expect.stringMatching(message),
    });
  });
}
