import { randomBytes } from 'node:crypto';
import { expect, test, vi } from 'vitest';
import type { Span, TracesDefinition } from '../../src/gen/assayer/hostservice/traces/v1/traces.ts';
import { Logger } from '../../src/log/logger.ts';
import { PluginTraces } from '../../src/plugin-host/plugin-traces.ts';
import type { ServiceHandlers } from '../../src/rpc/call.ts';
import { parseTraceParent } from '../../src/rpc/trace-parent.ts';
import { parseTrustDomain } from '../../src/spiffe/trust-domain.ts';
import { startTracing } from '../../src/tracing/open-telemetry.ts';
import { OtlpReceiver } from '../harness/otlp-receiver.ts';
import { describeWithGo } from '../harness/requires.ts';

vi.setConfig({ testTimeout: 120_000 });
const PATH = '/spire.plugin.server.keymanager.v1.KeyManager/SignData';

describeWithGo('what a plugin says of traces', () => {
  test('counts for those that the host called it in, as far as it can be, and up to a limit', async () => {
    await using receiver = await OtlpReceiver.start();
    const traces = await (async () => {
      await using tracing = startTracing({
        config: { endpoint: receiver.httpEndpoint, protocol: 'http/protobuf', samplingRatio: 1, caFile: undefined },
        program: 'server',
        trustDomain: parseTrustDomain('example.org'),
        version: 'assayer',
        log: new Logger(() => {}, 'info'),
      });
      const plugin = new PluginTraces(tracing, { type: 'KeyManager', name: 'odd' });
      const outgoing = plugin.outgoing(PATH);
      const parent = parseTraceParent(String(outgoing?.metadata.traceparent));
      outgoing?.ended(0);
      if (parent === undefined) throw new Error('a call carries a traceparent');
      const { report } = plugin.service.handlers as unknown as Pick<ServiceHandlers<typeof TracesDefinition>, 'report'>;
      const now = BigInt(Date.now()) * 1_000_000n;
      const span = (more: Partial<Span>): Span => ({
        traceId: Buffer.from(parent.traceId, 'hex'),
        spanId: randomBytes(8),
        parentSpanId: Buffer.from(parent.spanId, 'hex'),
        name: 'honest',
        startUnixNanoseconds: now - 1_000_000n,
        endUnixNanoseconds: now,
        status: 0,
        ...more,
      });
      const send = async (...spans: Span[]) => await report({ spans }, undefined as never);
      await send(
        span({ name: 'foreign', traceId: randomBytes(16) }),
        span({ name: 'short id', traceId: randomBytes(15) }),
        span({ name: 'no id', spanId: new Uint8Array(8) }),
        span({ name: 'its own parent', spanId: Buffer.from(parent.spanId, 'hex') }),
        span({ name: 'ends before', endUnixNanoseconds: now - 2_000_000n }),
        span({ name: 'long ago', startUnixNanoseconds: -1n }),
        span({ name: 'n'.repeat(10_000), status: 99, endUnixNanoseconds: 2n ** 63n - 1n }),
        span({}),
      );
      for (let reports = 0; reports < 40; reports++) {
        await send(...Array.from({ length: 100 }, () => span({ name: 'many' })));
      }
      return receiver;
    })();
    await expect.poll(() => traces.spans.filter(({ name }) => name === 'honest').length).toBe(1);
    const ofPlugin = traces.spans.filter(({ service }) => service === 'assayer-server-plugin-odd');
    expect(new Set(ofPlugin.map(({ name }) => name))).toEqual(new Set(['n'.repeat(128), 'honest', 'many']));
    expect(ofPlugin.find(({ name }) => name.startsWith('n'))?.nanos).toBeLessThan(1_000_000_000);
    expect(ofPlugin.length).toBeGreaterThan(500);
    expect(ofPlugin.length).toBeLessThan(1_500);
  });
});
