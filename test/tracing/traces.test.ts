import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { BundleDefinition } from '../../src/gen/spire/api/server/bundle/v1/bundle.ts';
import { SVIDDefinition } from '../../src/gen/spire/api/server/svid/v1/svid.ts';
import { TestDomain } from '../agent/test-domain.ts';
import { AS_WORKLOAD, fetchX509, workloadApi } from '../agent/workload.ts';
import { OtlpReceiver, type ReceivedSpan } from '../harness/otlp-receiver.ts';
import { describeWithGo } from '../harness/requires.ts';
import { TestServer } from '../harness/running-server.ts';
import { createTemporaryFolder } from '../harness/temporary-folder.ts';
import { newCsr, TlsCaller } from '../server/callers.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 120_000 });
const WAIT = { timeout: 20_000 };

describeWithGo('traces, as an OTLP receiver of OpenTelemetry’s codecs for Go takes them', () => {
  const resources = new AsyncDisposableStack();
  let receiver: OtlpReceiver;
  beforeAll(async () => {
    receiver = resources.use(await OtlpReceiver.start());
  });
  afterAll(() => resources.disposeAsync());

  const newest = async (service: string, method: string): Promise<ReceivedSpan> => {
    await expect.poll(() => receiver.of(service, method), WAIT).not.toHaveLength(0);
    const span = receiver.of(service, method).at(-1);
    if (span === undefined) throw new Error('there is one');
    return span;
  };
  const steps = (span: ReceivedSpan) =>
    receiver.wayTo(span).map(({ service, name, kind }) => `${service} ${name.split('/')[1]} ${kind.slice(10)}`);

  test('lead from a workload’s call through agent, its plugin, server and the server’s plugin', async () => {
    const telemetry = `Traces { endpoint = "${receiver.httpEndpoint}" }`;
    await using domain = await TestDomain.start({ telemetry });
    await domain.createEntry('/web');
    const token = await domain.createToken();
    await using agent = await domain.startAgent('agent', { settings: `join_token = "${token}"`, telemetry });
    const { svids } = await workloadApi(agent).fetchJWTSVID(
      { audience: ['secret-audience'], spiffeId: '' },
      AS_WORKLOAD,
    );
    expect(svids).toHaveLength(1);
    await fetchX509(agent);

    expect(steps(await newestOf(receiver, 'assayer-server-plugin-memory', 'SignData', 'FetchJWTSVID'))).toEqual([
      'assayer-server-plugin-memory SignData SERVER',
      'assayer-server SignData CLIENT',
      'assayer-server NewJWTSVID SERVER',
      'assayer-agent NewJWTSVID CLIENT',
      'assayer-agent FetchJWTSVID SERVER',
    ]);
    expect(steps(await newestOf(receiver, 'assayer-agent-plugin-unix', 'Attest', 'FetchJWTSVID'))).toEqual([
      'assayer-agent-plugin-unix Attest SERVER',
      'assayer-agent Attest CLIENT',
      'assayer-agent FetchJWTSVID SERVER',
    ]);
    // The join of the node began at the agent, which has no X.509-SVID then.
    expect(steps(await newest('assayer-server', 'AttestAgent'))).toEqual([
      'assayer-server AttestAgent SERVER',
      'assayer-agent AttestAgent CLIENT',
    ]);
    const all = JSON.stringify(receiver.spans);
    for (const secret of [token, 'secret-audience', 'uid:', 'spiffe://', ...svids.map(({ svid }) => svid)]) {
      expect(all).not.toContain(secret);
    }
    expect(receiver.spans.find(({ service }) => service === 'assayer-server-plugin-memory')).toMatchObject({
      by: 'http',
      resource: { 'assayer.plugin.type': 'KeyManager', 'assayer.plugin.name': 'memory' },
      attributes: { 'rpc.grpc.status_code': '0' },
    });
  });

  test('go by gRPC too; of those that begin here as many as the ratio says; callers’ own decision counts', async () => {
    await using folder = await createTemporaryFolder();
    const telemetry = `Traces { endpoint = "${receiver.grpcEndpoint}" protocol = "grpc" sampling_ratio = 0.0 }`;
    await using server = await TestServer.start({ folder: folder.path, telemetry });
    receiver.spans.length = 0;
    const mint = async (traceparent?: string) => {
      const { csr } = await newCsr({ uriNames: ['spiffe://example.org/web'] });
      const metadata = traceparent === undefined ? {} : { traceparent };
      await server.admin(SVIDDefinition).mintX509SVID({ csr, ttl: 0 }, { metadata });
    };
    await mint();
    await mint(`00-${'ab'.repeat(16)}-${'cd'.repeat(8)}-00`);
    await mint(`00-${'ef'.repeat(16)}-${'cd'.repeat(8)}-01, ${'x'.repeat(3000)}`);
    await mint(`00-${'0a'.repeat(16)}-${'0b'.repeat(8)}-01`);
    const signed = await newest('assayer-server-plugin-memory', 'SignData');
    expect(steps(signed)).toEqual([
      'assayer-server-plugin-memory SignData SERVER',
      'assayer-server SignData CLIENT',
      'assayer-server MintX509SVID SERVER',
    ]);
    expect(receiver.wayTo(signed).at(-1)).toMatchObject({ by: 'grpc', parentId: '0b'.repeat(8) });
    expect(new Set(receiver.spans.map(({ traceId }) => traceId))).toEqual(new Set(['0a'.repeat(16)]));
  });

  test('of callers that nobody knows are followed to a limit', async () => {
    await using folder = await createTemporaryFolder();
    const telemetry = `Traces { endpoint = "${receiver.httpEndpoint}" sampling_ratio = 0.0 }`;
    await using server = await TestServer.start({ folder: folder.path, telemetry });
    receiver.spans.length = 0;
    const startedAt = performance.now();
    using stranger = new TlsCaller(server);
    const bundles = stranger.client(BundleDefinition);
    for (let call = 1; call <= 500; call++) {
      const metadata = { traceparent: `00-${call.toString(16).padStart(32, '0')}-${'cd'.repeat(8)}-01` };
      await bundles.getBundle({ outputMask: undefined }, { metadata });
    }
    await server
      .admin(BundleDefinition)
      .getBundle(
        { outputMask: undefined },
        { metadata: { traceparent: `00-${'0f'.repeat(16)}-${'0b'.repeat(8)}-01` } },
      );
    const share = 100 + Math.ceil(((performance.now() - startedAt) / 1_000) * 10);
    await expect.poll(() => receiver.spans.some(({ traceId }) => traceId === '0f'.repeat(16)), WAIT).toBe(true);
    const strangers = receiver.of('assayer-server', 'GetBundle').length - 1;
    expect(strangers).toBeGreaterThanOrEqual(100);
    expect(strangers).toBeLessThanOrEqual(share);
  });

  test('are lost where nobody takes them, which the log tells once, and no call fails', async () => {
    await using folder = await createTemporaryFolder();
    await using server = await TestServer.start({
      folder: folder.path,
      telemetry: 'Traces { endpoint = "http://127.0.0.1:1" }',
    });
    const bundle = async () => await server.admin(BundleDefinition).getBundle({ outputMask: undefined });
    const warnings = () => server.records.filter(({ message }) => message === 'the collector does not take traces');
    await expect.poll(async () => (await bundle()) && warnings().length, WAIT).toBe(1);
    expect(warnings()[0]?.fields).toMatchObject({ endpoint: 'http://127.0.0.1:1' });
  });

  /** The newest of a method whose trace began with `root`. */
  async function newestOf(from: OtlpReceiver, service: string, method: string, root: string): Promise<ReceivedSpan> {
    const found = () => from.of(service, method).filter((span) => from.wayTo(span).at(-1)?.name.endsWith(root));
    await expect.poll(found, WAIT).not.toHaveLength(0);
    const [span] = found();
    if (span === undefined) throw new Error('there is one');
    return span;
  }
});
