import { X509Certificate } from 'node:crypto';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { MYSELF, TestDomain } from '../agent/test-domain.ts';
import { TestProcess } from '../harness/child-process.ts';
import { describeWithRustJavaAndPython } from '../harness/requires.ts';
import { diskKeys, type TestAgent } from '../harness/running-agent.ts';
import {
  buildJavaClient,
  buildRustClient,
  installPythonClient,
  type WorkloadClient,
} from '../harness/workload-clients.ts';

// Each client has an entry for its executable: what it gets is its own only if the agent knows who calls. That matters with
// Java, whose connections the agent rewrites.

const BUILDS_MS = 900_000;
const NAMES = ['java', 'python', 'rust'] as const;

describeWithRustJavaAndPython('java-spiffe 0.8.17, py-spiffe 0.3.2 and the crate spiffe 0.19.0 as workloads', () => {
  const resources = new AsyncDisposableStack();
  let clients: Readonly<Record<(typeof NAMES)[number], WorkloadClient>>;
  let agent: TestAgent;

  beforeAll(async () => {
    const [java, python, rust] = await Promise.all([buildJavaClient(), installPythonClient(), buildRustClient()]);
    clients = { java, python, rust };
    const domain = resources.use(await TestDomain.start({ settings: 'default_x509_svid_ttl = "8s"' }));
    for (const name of NAMES) {
      const selectors = [MYSELF, { type: 'unix', value: `path:${clients[name].executable}` }];
      await domain.createEntry(`/${name}`, { selectors, hint: name });
    }
    agent = resources.use(
      await domain.startAgent('agent', {
        plugins: `${diskKeys(join(domain.folder.path, 'agent'))}
  NodeAttestor "join_token" {}
  WorkloadAttestor "unix" { plugin_data { discover_workload_path = true } }`,
      }),
    );
  }, BUILDS_MS);
  afterAll(() => resources.disposeAsync());

  /** What a client does not tell is not compared. */
  const expected = {
    java: { identities: [{ id: 'spiffe://example.org/java', hint: 'java' }], self: 'spiffe://example.org/java' },
    python: { identities: [{ id: 'spiffe://example.org/python' }], self: 'spiffe://example.org/python' },
    rust: { identities: [{ id: 'spiffe://example.org/rust', hint: 'rust' }] },
  };

  test.concurrent.each(NAMES)(
    '%s gets its identities and bundles, has a token validated, and sees rotations',
    async (name) => {
      const { command, args } = clients[name];
      const socket = `SPIFFE_ENDPOINT_SOCKET=unix:${agent.running.socketPath}`;
      await using workload = await TestProcess.start('/usr/bin/env', [socket, command, ...args, 'db']);
      const readJson = async () => JSON.parse((await workload.readLine()) ?? '"it ended"');
      expect(await readJson()).toEqual({
        ...expected[name],
        authorities: { 'example.org': [1, 1] },
        agent: `spiffe://example.org/${name}`,
        isRefused: true,
      });
      const serials = new Set<string>();
      for (let update = 0; update < 3; update++) {
        const certificate = new X509Certificate(Buffer.from((await readJson()).certificate, 'hex'));
        expect(certificate.subjectAltName).toBe(`URI:spiffe://example.org/${name}`);
        serials.add(certificate.serialNumber);
      }
      expect(serials.size).toBe(3);
    },
    120_000,
  );
});
