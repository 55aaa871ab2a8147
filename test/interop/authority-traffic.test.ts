import { copyFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { expect, test, vi } from 'vitest';
import { MYSELF, TestDomain } from '../agent/test-domain.ts';
import { authoritySteps } from '../harness/authority-steps.ts';
import { TestProcess } from '../harness/child-process.ts';
import { buildGo } from '../harness/go.ts';
import { describeWithGo } from '../harness/requires.ts';
import { diskKeys, type TestAgent } from '../harness/running-agent.ts';

vi.setConfig({ testTimeout: 180_000 });

const MODULE = fileURLToPath(new URL('./workload-api', import.meta.url));
const WAIT = { timeout: 60_000, interval: 100 };

interface Report {
  readonly handshakes: number;
  readonly failures: readonly string[] | null;
  /** Key identifier of the authority above the workload's own SVID. */
  readonly signedBy: string;
  readonly trusted: readonly string[];
}

/** A workload that go-spiffe keeps up to date, and that makes or takes new connections all the time. */
class Traffic {
  readonly process: TestProcess;

  constructor(process: TestProcess) {
    this.process = process;
  }

  async report(): Promise<Report> {
    this.process.writeLine('{}');
    return JSON.parse((await this.process.readLine()) ?? '');
  }
}

// Inventory B002, issue: each change reaches agents and workloads without a failed handshake on the way.
describeWithGo('mTLS between workloads of two agents', () => {
  test.each(['key_manager', 'intermediate'])(
    'goes on through prepare, activate, taint and revoke, with ca_signing = "%s"',
    async (caSigning) => {
      await using resources = new AsyncDisposableStack();
      const domain = resources.use(await TestDomain.start({ settings: `ca_signing = "${caSigning}"` }));
      const executable = await buildGo(MODULE, 'traffic');
      for (const name of ['client', 'server']) {
        await copyFile(executable, domain.folder.join(name));
        const selectors = [MYSELF, { type: 'unix', value: `path:${domain.folder.join(name)}` }];
        await domain.createEntry(`/${name}`, { selectors });
      }
      const startAgent = async (name: string) => {
        const plugins = `${diskKeys(domain.folder.join(name))}
  NodeAttestor "join_token" {}
  WorkloadAttestor "unix" { plugin_data { discover_workload_path = true } }`;
        return resources.use(await domain.startAgent(name, { plugins }));
      };
      const start = async (agent: TestAgent, program: string, ...args: readonly string[]) => {
        const socket = `SPIFFE_ENDPOINT_SOCKET=unix://${agent.running.socketPath}`;
        return resources.use(await TestProcess.start('/usr/bin/env', [socket, domain.folder.join(program), ...args]));
      };
      const agents = [await startAgent('agent-a'), await startAgent('agent-b')] as const;
      const listening = await start(agents[0], 'server', 'serve', 'spiffe://example.org/client');
      const { address } = JSON.parse((await listening.readLine()) ?? '');
      const server = new Traffic(listening);
      const client = new Traffic(await start(agents[1], 'client', 'dial', address, 'spiffe://example.org/server'));
      const both = () => Promise.all([server.report(), client.report()]);
      const trusted = async () => (await both()).map((report) => report.trusted);
      const signedBy = async () => (await both()).map((report) => report.signedBy);
      const moreHandshakes = async () => {
        const before = (await client.report()).handshakes;
        await expect.poll(async () => (await client.report()).handshakes, WAIT).toBeGreaterThan(before + 20);
      };

      const steps = authoritySteps(domain.server, 'X509');
      const renewals = () =>
        agents.map(({ messages }) => messages.filter((message) => message === 'agent X.509-SVID renewed').length);
      let active = await steps.active();
      await expect.poll(signedBy, WAIT).toEqual([active, active]);
      for (const generation of [1, 2]) {
        await moreHandshakes();
        const prepared = await steps.prepare();
        const pair = [active, prepared].toSorted();
        await expect.poll(trusted, WAIT).toEqual([pair, pair]);
        await steps.activate(prepared);
        await moreHandshakes();
        await steps.taint(active);
        await expect.poll(signedBy, WAIT).toEqual([prepared, prepared]);
        await expect.poll(renewals, WAIT).toEqual([generation, generation]);
        await moreHandshakes();
        await steps.revoke(active);
        await expect.poll(trusted, WAIT).toEqual([[prepared], [prepared]]);
        active = prepared;
      }
      await moreHandshakes();
      const reports = await both();
      expect(reports.map(({ failures }) => failures)).toEqual([null, null]);
      expect(reports[1]?.handshakes).toBeGreaterThan(200);
      const warnings = [...agents, domain.server].flatMap(({ records }) =>
        records.filter(({ level }) => level === 'warning' || level === 'error').map(({ message }) => message),
      );
      expect(warnings).toEqual([]);

      // Had anything been missed, handshakes would have failed: they do once an agent is not there to follow.
      await agents[1][Symbol.asyncDispose]();
      const prepared = await steps.prepare();
      await expect.poll(async () => (await server.report()).trusted, WAIT).toContain(prepared);
      await steps.activate(prepared);
      await steps.taint(active);
      await expect.poll(async () => (await server.report()).signedBy, WAIT).toBe(prepared);
      await expect.poll(async () => (await client.report()).failures?.[0], WAIT).toMatch(/signed by unknown authority/);
    },
  );
});
