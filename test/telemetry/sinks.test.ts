import { spawn } from 'node:child_process';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { TelemetryConfig } from '../../src/config/telemetry-config.ts';
import { Logger, type LogRecord } from '../../src/log/logger.ts';
import { dumpMetrics } from '../../src/telemetry/dump-metrics.ts';
import { MetricFilter } from '../../src/telemetry/metric-filter.ts';
import { Metrics } from '../../src/telemetry/metrics.ts';
import { openSinks } from '../../src/telemetry/open-sinks.ts';
import { buildGo } from '../harness/go.ts';
import { describeWithGo } from '../harness/requires.ts';

const FILTER = { allowedPrefixes: [], blockedPrefixes: ['p.hidden'], allowedLabels: [], blockedLabels: [] };
const NONE: TelemetryConfig = {
  inMemory: false,
  prometheus: undefined,
  dogStatsd: [],
  statsd: [],
  m3: [],
  metricPrefix: undefined,
  enableTrustDomainLabel: false,
  enableHostnameLabel: false,
  traces: undefined,
  ...FILTER,
};
const newMetrics = () => new Metrics({ prefix: 'p', labels: [], filter: new MetricFilter(FILTER) });
const records: LogRecord[] = [];
const log = new Logger((record) => records.push(record));

/** What comes to one port. */
class Receiver implements AsyncDisposable {
  readonly lines: string[] = [];
  readonly packets: Buffer[] = [];
  readonly #socket: Socket;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('message', (packet) => {
      this.packets.push(packet);
      this.lines.push(...packet.toString().split('\n'));
    });
  }

  static async open(): Promise<Receiver> {
    const socket = createSocket('udp4');
    socket.bind(0, '127.0.0.1');
    await once(socket, 'listening');
    return new Receiver(socket);
  }

  get address(): string {
    return `127.0.0.1:${this.#socket.address().port}`;
  }

  async has(...wanted: readonly string[]): Promise<void> {
    await expect.poll(() => this.lines).toEqual(expect.arrayContaining([...wanted]));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.close();
    await once(this.#socket, 'close');
  }
}

let receiver: Receiver;
beforeEach(async () => {
  records.length = 0;
  receiver = await Receiver.open();
});
afterEach(() => receiver[Symbol.asyncDispose]());

describe('Statsd (C151)', () => {
  test('has counters by what was added, gauges as they are, every sample, and labels in the name', async () => {
    const metrics = newMetrics();
    const early = metrics.counter(['rpc', 'a.b:c|d'], [{ name: 'status', value: 'OK' }]);
    early.add(2);
    using _sinks = openSinks({
      config: { ...NONE, statsd: [{ address: receiver.address }] },
      program: 'server',
      metrics,
      log,
    });
    metrics.gauge(['uptime']).set(1.5);
    metrics.histogram(['took']).observe(0.25);
    metrics.histogram(['took']).observe(7);
    metrics.counter(['hidden', 'one']).add(1);
    await receiver.has('p.rpc.a.b_c_d.OK:2|c', 'p.uptime:1.500000|g', 'p.took:0.250000|ms', 'p.took:7|ms');
    early.add(3);
    await receiver.has('p.rpc.a.b_c_d.OK:3|c');
    expect(receiver.lines.filter((line) => line.includes('hidden'))).toEqual([]);
  });

  test('asks for what is only known then, and sends what is left at the end', async () => {
    const metrics = newMetrics();
    let asked = 0;
    metrics.collect(() => metrics.gauge(['asked']).set(++asked));
    const sinks = openSinks({
      config: { ...NONE, statsd: [{ address: receiver.address }] },
      program: 'server',
      metrics,
      log,
    });
    await receiver.has('p.asked:1|g');
    metrics.counter(['last']).add(1);
    sinks[Symbol.dispose]();
    await receiver.has('p.last:1|c');
  });

  test('fits packets into a frame', async () => {
    const metrics = newMetrics();
    for (let index = 0; index < 200; index += 1) metrics.counter(['many', `number-${index}-of-them`]).add(1);
    using _sinks = openSinks({
      config: { ...NONE, statsd: [{ address: receiver.address }] },
      program: 'server',
      metrics,
      log,
    });
    await receiver.has('p.many.number-199-of-them:1|c');
    expect(receiver.packets.length).toBeGreaterThan(3);
    expect(Math.max(...receiver.packets.map(({ length }) => length))).toBeLessThanOrEqual(1432);
  });

  test('tells once that nobody can be reached', async () => {
    const metrics = newMetrics();
    const config = { ...NONE, statsd: [{ address: 'no-such-host.invalid:8125' }] };
    using _sinks = openSinks({ config, program: 'server', metrics, log });
    metrics.gauge(['a']).set(1);
    await expect.poll(() => records.length).toBe(1);
    expect(records[0]).toMatchObject({ level: 'warning', message: 'metrics were not sent, which is not told again' });
  });
});

test('DogStatsd has labels as tags (C148)', async () => {
  const metrics = newMetrics();
  const config = { ...NONE, dogStatsd: [{ address: receiver.address }] };
  using _sinks = openSinks({ config, program: 'server', metrics, log });
  const labels = [
    { name: 'status', value: 'OK' },
    { name: 'odd', value: 'a,b|c' },
  ];
  metrics.counter(['rpc', 'a'], labels).add(1);
  metrics.histogram(['took']).observe(2);
  await receiver.has('p.rpc.a:1|c|#status:OK,odd:a_b_c', 'p.took:2|ms');
});

test('all at once get every sample', async () => {
  const metrics = newMetrics();
  await using other = await Receiver.open();
  const config = { ...NONE, statsd: [{ address: receiver.address }], dogStatsd: [{ address: other.address }] };
  using _sinks = openSinks({ config, program: 'server', metrics, log });
  metrics.histogram(['took']).observe(3);
  await receiver.has('p.took:3|ms');
  await other.has('p.took:3|ms');
});

test('InMem writes every metric into the log (C152)', async () => {
  const metrics = newMetrics();
  metrics.collect(() => metrics.gauge(['now']).set(4));
  metrics.counter(['calls'], [{ name: 'status', value: 'OK' }]).add(2);
  metrics.histogram(['took']).observe(3);
  await dumpMetrics(metrics, log);
  expect(records.map(({ message, fields }) => ({ message, ...fields }))).toEqual([
    { message: 'metric', name: 'p_calls', labels: 'status="OK"', kind: 'counter', value: 2 },
    { message: 'metric', name: 'p_now', labels: '', kind: 'gauge', value: 4 },
    { message: 'metric', name: 'p_took', labels: '', kind: 'histogram', value: 3, count: 1 },
  ]);
});

describeWithGo('M3 (C150)', () => {
  test('is read by the Thrift code of its own reporter', async () => {
    const program = await buildGo(fileURLToPath(new URL('../interop/m3-reader', import.meta.url)), 'reader');
    const child = spawn(program, { stdio: ['ignore', 'pipe', 'inherit'] });
    const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
    const port = (await lines.next()).value;
    const metrics = newMetrics();
    metrics.counter(['rpc', 'calls'], [{ name: 'status', value: 'OK' }]).add(300);
    metrics.gauge(['uptime']).set(-1.5);
    for (let index = 0; index < 14; index += 1) metrics.counter(['n', String(index)]).add(1);
    const config = { ...NONE, m3: [{ address: `127.0.0.1:${port}`, env: 'prod' }] };
    const sentAt = Date.now();
    using _sinks = openSinks({ config, program: 'agent', metrics, log });
    metrics.histogram(['took']).observe(2.5);
    const batch = JSON.parse(String((await lines.next()).value));
    expect(batch.commonTags).toEqual([
      { name: 'service', value: 'spire_agent' },
      { name: 'env', value: 'prod' },
    ]);
    const found = (name: string) => batch.metrics.find((metric: { name: string }) => metric.name === name);
    expect(batch.metrics).toHaveLength(17);
    expect(found('rpc_calls')).toMatchObject({
      value: { metricType: 'COUNTER', count: 300 },
      tags: [{ name: 'status', value: 'OK' }],
    });
    expect(found('uptime')).toMatchObject({ value: { metricType: 'GAUGE', gauge: -1.5 } });
    expect(found('took')).toMatchObject({ value: { metricType: 'TIMER', timer: 2_500_000 } });
    expect(Math.abs(found('took').timestamp / 1e6 - sentAt)).toBeLessThan(60_000);
  }, 600_000);
});
