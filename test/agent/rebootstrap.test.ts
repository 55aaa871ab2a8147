import { copyFile } from 'node:fs/promises';
import { expect, test, vi } from 'vitest';
import { describeWithGo } from '../harness/requires.ts';
import { diskKeys, JOIN_TOKEN_AND_UNIX } from '../harness/running-agent.ts';
import { TcpProxy } from '../harness/tcp-proxy.ts';
import { createTemporaryFolder } from '../harness/temporary-folder.ts';
import { goPlugin } from '../plugin-host/go-plugins.ts';
import { TestDomain } from './test-domain.ts';
import { fetchIds } from './workload.ts';

// A server that comes back with other authorities (inventory B008, C081, C082).

vi.setConfig({ testTimeout: 180_000 }); // two servers and four agents

const WAIT = { timeout: 60_000, interval: 200 };

describeWithGo('where the server was made anew', () => {
  test('agents bootstrap anew as rebootstrap_mode says', async () => {
    const server = `KeyManager "memory" {}
  NodeAttestor "join_token" {}
  NodeAttestor "go_digest" { plugin_cmd = "${await goPlugin('server-node-attestor')}" }`;
    await using first = await TestDomain.start({ plugins: server });
    await using second = await TestDomain.start({ plugins: server });
    await using proxy = await TcpProxy.start(first.port);
    await using folder = await createTemporaryFolder();
    const bundlePath = folder.join('bundle.pem');
    await copyFile(first.bundlePath, bundlePath);
    const parentId = { trustDomain: 'example.org', path: '/spire/agent/go_digest/n1' };
    await first.createEntry('/before', { parentId });
    await second.createEntry('/after', { parentId });
    const startAgent = async (name: string, mode: string, token?: string) => {
      const join = token === undefined ? '' : `join_token = "${token}"`;
      const attestor =
        token === undefined
          ? `NodeAttestor "go_digest" {
    plugin_cmd = "${await goPlugin('agent-node-attestor')}"
    plugin_data { node = "n1" }
  }
  WorkloadAttestor "unix" {}`
          : JOIN_TOKEN_AND_UNIX;
      return await first.startAgent(name, {
        serverPort: proxy.port,
        settings: `trust_bundle_path = "${bundlePath}"
  rebootstrap_mode = "${mode}"
  rebootstrap_delay = "1s"
  ${join}`,
        plugins: `${diskKeys(first.folder.join(name))}\n  ${attestor}`,
      });
    };
    await using auto = await startAgent('auto', 'auto');
    await using never = await startAgent('never', 'never', await first.createToken());
    await using token = await startAgent('token', 'auto', await first.createToken());
    const always = await startAgent('always', 'always', await first.createToken());
    await expect.poll(() => fetchIds(auto), WAIT).toEqual(['spiffe://example.org/before']);

    await copyFile(second.bundlePath, bundlePath);
    proxy.target = second.port;
    await first.stopServer();

    await expect.poll(() => fetchIds(auto), WAIT).toEqual(['spiffe://example.org/after']);
    expect(auto.messages).toContain(
      'the server has not been verified by the trust bundle for long: the agent bootstraps anew',
    );

    await expect(always.running.ended).rejects.toThrow(
      /has the bundle of its new server now, .*"assayer server token generate"/,
    );
    await always[Symbol.asyncDispose]();
    await using again = await startAgent('always', 'always', await second.createToken());
    expect(again.messages).toContain('node attested');

    const why = 'the server is not verified by the trust bundle, and the node cannot attest again';
    await expect.poll(() => token.messages.some((message) => message.startsWith(why)), WAIT).toBe(true);
    for (const { messages } of [never, token]) expect(messages.join()).not.toContain('bootstraps anew');
    const reasons = never.records.map(({ fields }) => String(fields.reason));
    expect(reasons.some((reason) => /is not trusted: .*trust bundle is the server's/.test(reason))).toBe(true);
  });
});
